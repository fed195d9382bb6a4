/** The network stack beside slirp4netns and pasta: streams, processor time, round trips, connections. A namespace of its own each. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Bed,
  childCommand,
  finish,
  hostAddress,
  INSIDE_IPV4,
  makeBed,
  readCpuSeconds,
  startStack,
  until,
} from "../tests/support/network_bed.ts";
import { DUGOUT } from "./support/setting.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 3);
const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 3);
const HOST = hostAddress() ?? "127.0.0.1";
const RTT_ROUNDS = 5_000;
const CONNECTIONS = 3_000;
/** Ports of the host: servers there, and those that are published, one for each contender. */
const IPERF_PORT = 5301;
const ECHO_PORT = 5302;
const ACCEPT_PORT = 5303;
const PUBLISHED_PORTS = [5311, 5312, 5313] as const;

interface Contender {
  name: string;
  bed: Bed;
  /** Its process. */
  pid: number;
  /** The host, as it is reached from inside. */
  host: string;
  /** Published: leads to the same port inside. */
  port: number;
}

await using stack = new AsyncDisposableStack();

async function makeOurs(): Promise<Contender> {
  const bed = stack.use(await makeBed());
  const ours = stack.use(await startStack(bed, { command: [DUGOUT, "__netstack"] }));
  await ours.publish(PUBLISHED_PORTS[0]);
  return { name: "dugout", bed, pid: ours.pid, host: HOST, port: PUBLISHED_PORTS[0] };
}

async function makeSlirp(): Promise<Contender> {
  const bed = stack.use(await makeBed());
  const directory = mkdtempSync(join(tmpdir(), "slirp-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const api = join(directory, "api");
  const child = bed.startOutside([
    "slirp4netns",
    "--configure",
    "--mtu=65520",
    `--api-socket=${api}`,
    `--userns-path=/proc/${bed.pid}/ns/user`,
    String(bed.pid),
    "tap0",
  ], { stdio: "ignore" });
  await until("slirp4netns", () => spawnSync("test", ["-S", api]).status === 0);
  await until(
    "its interface",
    () => spawnSync(bed.inside(["ip"])[0]!, bed.inside(["ip", "route", "get", HOST]).slice(1)).status === 0,
  );
  const port = PUBLISHED_PORTS[1];
  await askSlirp(api, {
    execute: "add_hostfwd",
    arguments: { proto: "tcp", host_addr: "0.0.0.0", host_port: port, guest_addr: "10.0.2.100", guest_port: port },
  });
  return { name: "slirp4netns", bed, pid: child.pid!, host: HOST, port };
}

function askSlirp(path: string, request: object): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    createConnection(path).on("error", reject).setEncoding("utf8").on("data", (some: string) => text += some)
      .on("end", () => text.includes("error") ? reject(new Error(text)) : resolve(text)).end(JSON.stringify(request));
  });
}

async function makePasta(): Promise<Contender> {
  const bed = stack.use(await makeBed());
  const port = PUBLISHED_PORTS[2];
  // addresses of its own: by default it takes the host's, and the host could not be reached by it
  const child = bed.startOutside([
    "pasta",
    "-f",
    "--config-net",
    "-a",
    "10.77.0.2",
    "-n",
    "24",
    "-g",
    "10.77.0.1",
    "-t",
    String(port),
    "-T",
    "none",
    "-u",
    "none",
    "-U",
    "none",
    "--netns",
    `/proc/${bed.pid}/ns/net`,
    "--userns",
    `/proc/${bed.pid}/ns/user`,
  ], { stdio: "ignore" });
  await until(
    "pasta",
    () => spawnSync(bed.inside(["ip"])[0]!, bed.inside(["ip", "route", "get", "192.0.2.200"]).slice(1)).status === 0,
  );
  return { name: "pasta", bed, pid: child.pid!, host: HOST, port };
}

const contenders: Contender[] = [await makeOurs(), await makeSlirp(), await makePasta()];
const host = stack.use(await makeBed());
host.startOutside(["iperf3", "-s", "-B", HOST, "-p", String(IPERF_PORT)], { stdio: "ignore" });
host.startOutside(childCommand("net_child.ts", "echo", HOST, String(ECHO_PORT)), { stdio: "ignore" });
host.startOutside(childCommand("net_child.ts", "accept", HOST, String(ACCEPT_PORT)), { stdio: "ignore" });
await new Promise((resolve) => setTimeout(resolve, 1000));

/** One figure of one contender. */
type Figures = Map<string, number[]>;
const all = new Map<string, Figures>(contenders.map(({ name }) => [name, new Map()]));
function note(name: string, what: string, value: number): void {
  const figures = all.get(name)!;
  figures.set(what, [...figures.get(what) ?? [], value]);
}

async function output(child: ReturnType<Bed["start"]>): Promise<string> {
  const { code, out, err } = await finish(child);
  if (code !== 0) throw new Error(`ended with ${code}: ${err}${out}`);
  return out;
}

function untilListening(bed: Bed, port: number): Promise<void> {
  const [program, ...args] = bed.inside(["ss", "-ltnH", `sport = :${port}`]);
  return until(`a server at ${port}`, () => spawnSync(program!, args, { encoding: "utf8" }).stdout !== "");
}

/** iperf3 as a client, one way; the bytes that arrived, and the processor time a GB. */
async function measureStreams({ name, bed, pid, host, port }: Contender): Promise<void> {
  for (const streams of [1, 8]) {
    for (const way of ["out", "in"] as const) {
      const before = readCpuSeconds(pid);
      const args = ["-J", "-t", String(SECONDS), "-P", String(streams)];
      let text: string;
      if (way === "out") text = await output(bed.start(["iperf3", ...args, "-c", host, "-p", String(IPERF_PORT)]));
      else {
        const server = bed.start(["iperf3", "-s", "-1", "-p", String(port)], { stdio: "ignore" });
        await untilListening(bed, port);
        text = await output(bed.startOutside(["iperf3", ...args, "-c", HOST, "-p", String(port)]));
        server.kill();
      }
      const { sum_received: received } = JSON.parse(text).end;
      if (received === undefined) throw new Error(`${name}, ${way}: ${text}`);
      const label = `${way}, ${streams === 1 ? "one stream" : "eight"}`;
      note(name, `${label}: Gbit/s`, received.bits_per_second / 1e9);
      note(name, `${label}: CPU s/GB`, (readCpuSeconds(pid) - before) / (received.bytes / 1e9));
    }
  }
}

async function measureLatency({ name, bed, host }: Contender): Promise<void> {
  const out = await output(bed.start(childCommand("net_child.ts", "rtt", host, String(ECHO_PORT), String(RTT_ROUNDS))));
  const times = out.trim().split("\n").map(Number).sort((a, b) => a - b);
  note(name, "round trip of a byte, median: µs", times[Math.floor(times.length / 2)]!);
  note(name, "round trip of a byte, p99: µs", times[Math.floor(times.length * 0.99)]!);
}

async function measureConnections({ name, bed, host }: Contender): Promise<void> {
  const out = await output(
    bed.start(childCommand("net_child.ts", "connect", host, String(ACCEPT_PORT), String(CONNECTIONS))),
  );
  note(name, "connections a second", CONNECTIONS / Number(out));
}

for (let round = 0; round < ROUNDS; round++) {
  for (const measure of [measureStreams, measureLatency, measureConnections]) {
    for (const contender of contenders) await measure(contender);
  }
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const shown = (value: number) => value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
console.log(`### TCP: us, slirp4netns (MTU 65520) and pasta, medians of ${ROUNDS} rounds in turn\n`);
console.log("| | dugout | slirp4netns | pasta | dugout / the better peer |\n| --- | --- | --- | --- | --- |");
for (const what of all.get("dugout")!.keys()) {
  const [ours = NaN, slirp = NaN, pasta = NaN] = contenders.map(({ name }) =>
    median(all.get(name)!.get(what) ?? [NaN])
  );
  const isMoreBetter = /Gbit|a second/.test(what);
  const best = isMoreBetter ? Math.max(slirp, pasta) : Math.min(slirp, pasta);
  console.log(`| ${what} | ${shown(ours)} | ${shown(slirp)} | ${shown(pasta)} | ${(ours / best).toFixed(2)} |`);
}
console.log(`\nInside ${INSIDE_IPV4}; the host by ${HOST}.`);
