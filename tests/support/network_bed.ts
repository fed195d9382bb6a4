/**
 * A network namespace of a plain user with one interface, behind which a stack stands: ours, or a peer's. What is "inside" is run by
 * nsenter; the host is where the test runs.
 *
 * @module
 */
import { type ChildProcess, spawn as spawnChild, type SpawnOptions, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOf, allocate, backend } from "#ffi/mod.ts";
import { call, type Fd } from "#linux/call.ts";
import { close, makePipe, writeAll } from "#linux/file.ts";
import { AF_UNIX, encodeUnixAddress, makeSocketPair, receiveFd, SOCK_CLOEXEC, SOCK_STREAM } from "#linux/socket.ts";
import { spawn } from "#linux/spawn.ts";
import { listTestUsers } from "./users.ts";
import type { LinkConfig, StackConfig } from "../../src/netstack/config.ts";
import type { ControlAnswer, ControlRequest } from "../../src/netstack/control.ts";

export const INSIDE_IPV4 = "10.88.0.2";
export const INSIDE_IPV6 = "fd00:88::2";
export const GATEWAY_IPV4 = "10.88.0.1";
export const GATEWAY_IPV6 = "fd00:88::1";
/** Leads to the host's 127.0.0.1. */
export const LOOPBACK_IPV4 = "10.88.255.254";

/** How a script beside this file is run by the runtime that runs this one. */
export function childCommand(script: string, ...args: string[]): string[] {
  return [process.execPath, ...backend().runArguments, join(import.meta.dirname ?? "", script), ...args];
}

/** What runs a command as a plain user, where the test runs as root. */
export function becoming(): string[] {
  if (process.getuid?.() !== 0) return [];
  const user = listTestUsers()[0];
  if (user === undefined) throw new Error("There is no plain user: tests/setup makes some");
  return ["/usr/bin/setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--init-groups", "--"];
}

/** A user namespace with a network namespace, held by a process that sleeps. */
export interface Bed extends AsyncDisposable {
  readonly pid: number;
  /** The command that runs a command inside. */
  inside(argv: readonly string[]): string[];
  /** Runs something inside to its end. @throws {Error} When it does not end with 0. */
  run(...argv: string[]): Promise<string>;
  /** Starts something inside; it is killed with the bed. */
  start(argv: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Starts something on the host; it is killed with the bed. */
  startOutside(argv: readonly string[], options?: SpawnOptions): ChildProcess;
}

export async function makeBed(): Promise<Bed> {
  const children: ChildProcess[] = [];
  const startOutside = (argv: readonly string[], options: SpawnOptions = {}) => {
    const child = spawnChild(argv[0]!, argv.slice(1), { stdio: ["ignore", "pipe", "pipe"], ...options });
    children.push(child);
    return child;
  };
  const holder = startOutside([...becoming(), "unshare", "-Urn", "--kill-child", "sleep", "86400"], {
    stdio: "ignore",
  });
  const own = readlinkSync("/proc/self/ns/net");
  await until("the namespace", () => {
    const pid = holder.pid!;
    return readlinkSync(`/proc/${pid}/ns/net`) !== own && readFileSync(`/proc/${pid}/uid_map`, "utf8").trim() !== "";
  });
  const pid = holder.pid!;
  const inside = (argv: readonly string[]) => [
    ...becoming(),
    "nsenter",
    "-t",
    String(pid),
    "-U",
    "-n",
    "--preserve-credentials",
    ...argv,
  ];
  const run = async (...argv: string[]) => {
    const [program, ...args] = inside(argv);
    const child = spawnChild(program!, args, { stdio: ["ignore", "pipe", "pipe"], timeout: 110_000 });
    const { code, out, err } = await finish(child);
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${code}: ${err}${out}`);
    return out;
  };
  await run("ip", "link", "set", "lo", "up");
  return {
    pid,
    inside,
    run,
    start: (argv, options) => startOutside(inside(argv), options),
    startOutside,
    async [Symbol.asyncDispose]() {
      for (const child of children.reverse()) child.kill("SIGKILL");
      await Promise.all(children.map((child) => ended(child)));
    },
  };
}

/** All that a child prints, and how it ends; null where a signal ended it. */
export async function finish(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  let out = "";
  let err = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => out += text);
  child.stderr?.setEncoding("utf8").on("data", (text: string) => err += text);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out, err };
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("close", () => resolve()));
}

/** Waits until something is so: what it waits for has no event of its own. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  for (;;) {
    try {
      if (isSo()) return;
    } catch {
      // not yet
    }
    if (performance.now() > end) throw new Error(`Waited for ${what} in vain`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Our stack at a bed. */
export interface BedStack extends Disposable {
  readonly pid: number;
  ask(request: ControlRequest): Promise<ControlAnswer>;
  /** Figures by name. */
  figures(): Promise<Record<string, number>>;
  /** Publishes a TCP port of the host for the same port inside. */
  publish(port: number, hostAddress?: string): Promise<void>;
  /** Seconds of processor that it has used. */
  cpuSeconds(): number;
}

export interface StackOptions {
  /** How the stack is run: a program and all its arguments. */
  command: readonly string[];
  mtu?: number;
  memoryBytes?: number;
  pcap?: string;
  internal?: boolean;
  hostLoopback?: boolean;
  /** In place of the host's /etc/resolv.conf. */
  resolvConf?: string;
}

/** Starts our stack on a tap of the bed. */
export async function startStack(bed: Bed, options: StackOptions): Promise<BedStack> {
  const mtu = options.mtu ?? 65_520;
  const tap = await openTap(bed, mtu);
  const directory = mkdtempSync(join(tmpdir(), "dugout-netstack-"));
  const path = join(directory, "control");
  const listener = call("socket", "control", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) as Fd;
  const { bytes, length } = encodeUnixAddress(path);
  call("bind", path, listener, addressOf(bytes), length);
  call("listen", path, listener, 16);
  const link: LinkConfig = {
    id: "bed",
    mtu,
    macAddress: "02:64:00:00:00:01",
    ipv4: { gateway: GATEWAY_IPV4, subnet: "10.88.0.0/16" },
    ipv6: { gateway: GATEWAY_IPV6, subnet: "fd00:88::/64" },
    internal: options.internal ?? false,
    hostLoopback: options.hostLoopback ? { ipv4: LOOPBACK_IPV4, ipv6: null } : null,
    dhcp: false,
  };
  const config: StackConfig = {
    links: [{ fd: 4, link }],
    controlFd: 3,
    resolvConf: options.resolvConf ?? "/etc/resolv.conf",
    memoryBytes: options.memoryBytes ?? 256 << 20,
    pcap: options.pcap ?? null,
  };
  const input = makePipe();
  const output = makePipe();
  const argv = [...becoming(), ...options.command];
  const pid = spawn({
    path: argv[0]!,
    argv,
    env: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
    fds: [
      { child: 0, ours: input.read },
      { child: 1, ours: output.write },
      { child: 2, ours: 2 as Fd },
      { child: 3, ours: listener },
      { child: 4, ours: tap },
    ],
  });
  for (const fd of [input.read, output.write, listener, tap]) close(fd);
  writeAll(input.write, new TextEncoder().encode(JSON.stringify(config)));
  close(input.write);
  const chunk = allocate(64);
  const count = call("read", "the stack's first line", output.read, addressOf(chunk), chunk.length);
  close(output.read);
  const said = new TextDecoder().decode(chunk.subarray(0, count));
  if (said !== "ready\n") throw new Error(`The stack did not start: ${JSON.stringify(said)}`);
  const control = await connect(path);
  const ask = async (request: ControlRequest) =>
    JSON.parse(await control.ask(JSON.stringify(request))) as ControlAnswer;
  const must = async (request: ControlRequest) => {
    const answer = await ask(request);
    if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message}`);
    return answer.result;
  };
  return {
    pid,
    ask,
    async figures() {
      const result = await must({ do: "status" });
      if (result?.kind !== "status") throw new Error("No figures came");
      return result.status.counters;
    },
    async publish(port, hostAddress = "0.0.0.0") {
      const containerAddress = hostAddress.includes(":") ? INSIDE_IPV6 : INSIDE_IPV4;
      const ports = [
        { protocol: "tcp", hostAddress, hostPort: port, containerAddress, containerPort: port, count: 1 } as const,
      ];
      await must({ do: "publish", owner: "bed", link: "bed", ports });
    },
    cpuSeconds: () => readCpuSeconds(pid),
    [Symbol.dispose]() {
      control.end();
      process.kill(pid, "SIGKILL");
      call("wait4", "the stack", pid, 0, 0, 0);
      rmSync(directory, { recursive: true });
    },
  };
}

/** Opens a tap inside, gives it addresses and routes. */
async function openTap(bed: Bed, mtu: number): Promise<Fd> {
  const [ours, theirs] = makeSocketPair();
  const argv = bed.inside(childCommand("open_tap.ts", "tap0"));
  const found = spawnSync("sh", ["-c", `command -v ${argv[0]}`], { encoding: "utf8" }).stdout.trim();
  const pid = spawn({
    path: found,
    argv,
    env: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
    fds: [{ child: 2, ours: 2 as Fd }, { child: 3, ours: theirs }],
  });
  close(theirs);
  const tap = receiveFd(ours);
  close(ours);
  call("wait4", "open_tap.ts", pid, 0, 0, 0);
  if (tap === undefined) throw new Error("No tap came");
  await bed.run("ip", "link", "set", "tap0", "mtu", String(mtu), "up");
  await bed.run("ip", "addr", "add", `${INSIDE_IPV4}/16`, "dev", "tap0");
  await bed.run("ip", "route", "add", "default", "via", GATEWAY_IPV4);
  await bed.run("ip", "-6", "addr", "add", `${INSIDE_IPV6}/64`, "dev", "tap0", "nodad");
  await bed.run("ip", "-6", "route", "add", "default", "via", GATEWAY_IPV6);
  return tap;
}

interface Asker {
  ask(line: string): Promise<string>;
  end(): void;
}

async function connect(path: string): Promise<Asker> {
  const socket: Socket = createConnection(path);
  await new Promise<void>((resolve, reject) => socket.once("connect", () => resolve()).once("error", reject));
  let text = "";
  let onLine: ((line: string) => void) | undefined;
  socket.setEncoding("utf8").on("data", (some: string) => {
    text += some;
    const end = text.indexOf("\n");
    if (end === -1) return;
    const line = text.slice(0, end);
    text = text.slice(end + 1);
    onLine?.(line);
  });
  return {
    ask: (line) =>
      new Promise((resolve) => {
        onLine = resolve;
        socket.write(`${line}\n`);
      }),
    end: () => socket.destroy(),
  };
}

/** What a process has used of processors, from /proc/PID/stat in ticks of 10 ms. */
export function readCpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** An address of the host that is none of its loopback: containers may reach what listens there. */
export function hostAddress(): string | undefined {
  const { stdout } = spawnSync("ip", ["-4", "-o", "addr", "show", "scope", "global"], { encoding: "utf8" });
  return /inet ([0-9.]+)/.exec(stdout)?.[1];
}
