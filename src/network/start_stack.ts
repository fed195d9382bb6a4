/**
 * Starting the stack: a process of its own, which outlives this one. By whoever has the network's lock.
 *
 *     RUN/network/stack.sock     where it is talked to
 *     RUN/network/stack.log      what it said
 *     RUN/network/stack.json     which process it is
 *
 * @module
 */
import { leaveSession } from "#cgroup/own_scope.ts";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { addressOf, allocate } from "#ffi/mod.ts";
import { call, expectResult, type Fd, tryCall } from "#linux/call.ts";
import {
  AT_FDCWD,
  close,
  makePipe,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  openAt,
  tryMakeMemfd,
  writeAll,
} from "#linux/file.ts";
import { AF_UNIX, encodeUnixAddress, makeSocketPair, receiveFd, SOCK_CLOEXEC, SOCK_STREAM } from "#linux/socket.ts";
import { spawn } from "#linux/spawn.ts";
import { DEFAULT_MEMORY_BYTES, type LinkConfig, type StackConfig } from "#netstack/config.ts";
import { READY_LINE } from "#netstack/control.ts";
import { DugoutError } from "#oci/error.ts";
import { workerEnvironment } from "#runtime/launch_worker.ts";
import { ownCommand } from "#runtime/own_command.ts";
import { playTape } from "#tape/play.ts";
import { type Holder, networkDirectory } from "./holder.ts";
import { joinSharedSteps } from "./link_steps.ts";
import type { LinkState } from "./link_file.ts";
import type { Network } from "./network_file.ts";
import { Netlink, NETLINK_BUFFERS } from "./netlink_steps.ts";
import { CONTROL_SOCKET, shortSocketPath } from "./stack_connection.ts";
import { writeState } from "./write_state.ts";
import { readStartTime } from "#linux/proc.ts";
import { TAP_BUFFERS, TAP_SOCKET_FD, tapSteps, TUN_PATH } from "./tap_steps.ts";

/** The first argument of the stack's process. */
export const STACK_ARGUMENT = "__netstack";
const CONTROL_FD = 3;
const FIRST_TAP_FD = 4;
const LISTEN_BACKLOG = 128;

/** What the stack is told of a network. */
export function linkConfig({ network, bridgeIndex }: LinkState): LinkConfig {
  const range = (one: Network["ipv4"]) => one === null ? null : { gateway: one.gateway, subnet: one.subnet };
  return {
    id: network.id,
    mtu: network.mtu,
    macAddress: gatewayMac(bridgeIndex),
    ipv4: range(network.ipv4),
    ipv6: range(network.ipv6),
    internal: network.internal,
    hostLoopback: network.hostLoopback,
    dhcp: false,
  };
}

/** The gateway's MAC address: one that no container has. */
export function gatewayMac(bridgeIndex: number): string {
  const hex = bridgeIndex.toString(16).padStart(8, "0");
  return `02:64:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6, 8)}`;
}

/** Opens a tap at a network's bridge. @throws {OsError} */
export function openTap(holder: Holder, { network, bridgeIndex }: LinkState): Fd {
  const netlink = new Netlink("shared netlink");
  const [ours, theirs] = makeSocketPair();
  try {
    const name = `tap${bridgeIndex}`;
    playTape({
      steps: [
        ...joinSharedSteps(holder),
        ...netlink.open(),
        ...tapSteps(netlink, name, { bridgeIndex, mtu: network.mtu }),
      ],
      buffers: new Map([...NETLINK_BUFFERS, ...TAP_BUFFERS]),
      errorFd: 4,
    }, { fds: [{ child: TAP_SOCKET_FD, ours: theirs }] });
    const tap = receiveFd(ours);
    if (tap === undefined) throw new DugoutError("TAP_LOST", `Cannot get the tap of the network "${network.name}"`);
    return tap;
  } finally {
    close(ours);
    close(theirs);
  }
}

/** Whether taps can be opened. */
export function canOpenTaps(): boolean {
  try {
    closeSync(openSync(TUN_PATH, "r+"));
    return true;
  } catch {
    return false;
  }
}

/** Starts a stack on all networks that are up. @throws {DugoutError} STACK_FAILED with what it said. */
export function startStack(runRoot: string, holder: Holder, links: readonly LinkState[]): void {
  using stack = new DisposableStack();
  const own = (fd: Fd): Fd => stack.adopt(fd, close);
  const taps = links.map((link) => ({ fd: own(openTap(holder, link)), link }));
  const control = own(listen(runRoot));
  const config: StackConfig = {
    links: taps.map(({ link }, index) => ({ fd: FIRST_TAP_FD + index, link: linkConfig(link) })),
    controlFd: CONTROL_FD,
    resolvConf: "/etc/resolv.conf",
    memoryBytes: DEFAULT_MEMORY_BYTES,
    pcap: null,
    endsWhenIdle: true,
  };
  const input = own(memoryFile(JSON.stringify(config)));
  const output = makePipe();
  const logPath = join(networkDirectory(runRoot), "stack.log");
  const log = openSync(logPath, "w", 0o600);
  const argv = [...ownCommand(), STACK_ARGUMENT, runRoot, String(holder.pid), holder.startTime];
  let pid: number;
  try {
    pid = spawn({
      path: argv[0]!,
      argv,
      env: workerEnvironment(),
      newSession: true,
      fds: [
        { child: 0, ours: input },
        { child: 1, ours: output.write },
        { child: 2, ours: log as Fd },
        { child: CONTROL_FD, ours: control },
        ...taps.map(({ fd }, index) => ({ child: FIRST_TAP_FD + index, ours: fd })),
      ],
    });
    writeState(join(networkDirectory(runRoot), "stack.json"), { pid, startTime: readStartTime(pid) });
  } finally {
    close(output.write);
    closeSync(log);
  }
  const said = readFirstLine(output.read);
  close(output.read);
  if (said === READY_LINE) return leaveSession("network", [pid, holder.pid]);
  throw new DugoutError(
    "STACK_FAILED",
    `Cannot start the network stack: ${lastLine(logPath) ?? "it has ended without a word"}`,
    {
      hint: "--network host and --network none need none",
    },
  );
}

function lastLine(path: string): string | undefined {
  return readFileSync(path, "utf8").trim().split("\n").at(-1) || undefined;
}

/** Bytes as a file that can be read from its beginning. */
function memoryFile(text: string): Fd {
  const fd = expectResult(tryMakeMemfd("dugout-network", false), "memfd_create", "dugout-network") as Fd;
  writeAll(fd, new TextEncoder().encode(text));
  expectResult(tryCall("lseek", fd, 0, 0), "lseek", "dugout-network");
  return fd;
}

function listen(runRoot: string): Fd {
  // of a stack that has ended
  rmSync(join(networkDirectory(runRoot), CONTROL_SOCKET), { force: true });
  const directory = openAt(AT_FDCWD, networkDirectory(runRoot), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const socket = call("socket", "of the network stack", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) as Fd;
  try {
    const { bytes, length } = encodeUnixAddress(shortSocketPath(directory));
    call("bind", CONTROL_SOCKET, socket, addressOf(bytes), length);
    call("listen", CONTROL_SOCKET, socket, LISTEN_BACKLOG);
    return socket;
  } catch (error) {
    close(socket);
    throw error;
  } finally {
    close(directory);
  }
}

function readFirstLine(fd: Fd): string {
  const chunk = allocate(256);
  let text = "";
  while (!text.includes("\n") && text.length < chunk.length) {
    const count = tryCall("read", fd, addressOf(chunk), chunk.length);
    if (count === -4) continue;
    if (count <= 0) break;
    text += new TextDecoder().decode(chunk.slice(0, count));
  }
  return text.split("\n", 1)[0]!;
}
