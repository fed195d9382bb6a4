/**
 * A stack with TCP alone in a simulation: one link, a simulated host.
 *
 * @module
 */
import { makeBlocks } from "../blocks.ts";
import { FRAME_SPACE } from "../device/device.ts";
import { copyAddress, type IpAddress, isIpv4 } from "../ip_address.ts";
import { makeTestMemory, type Memory } from "../memory.ts";
import type { Link, Surroundings } from "../protocol.ts";
import { makeTcp, type TcpProtocol } from "../socket/tcp/tcp.ts";
import { HEADER_SPACE, type TcpLimits, type TcpPolicy } from "../socket/tcp/tcp_state.ts";
import { endTurn, makeStack, nextTurnMs, type Stack, takeFrames } from "../stack.ts";
import { makeSimulatedHost, type Serve, type SimulatedHost } from "./host_simulation.ts";
import { at, type VirtualClock } from "./virtual_clock.ts";
import type { WireEnd } from "./wire_simulation.ts";

export interface SimulatedStack {
  readonly stack: Stack;
  readonly tcp: TcpProtocol;
  readonly host: SimulatedHost;
  readonly memory: Memory;
  readonly errors: unknown[];
  /** Runs a turn now. */
  turn(): void;
}

export const DEFAULT_LIMITS: TcpLimits = { connections: 4096, ofOne: 4096, openingOfOne: 1024, timeWaits: 256 };

export function makeSimulatedStack(options: {
  clock: VirtualClock;
  random: () => number;
  wire: (memory: Memory) => WireEnd;
  mac: number;
  otherMac: number;
  mtu: number;
  memoryBytes: number;
  limits?: TcpLimits;
  serve: Serve;
  decide?: TcpPolicy["decide"];
}): SimulatedStack {
  const { clock, random, mac, otherMac, mtu } = options;
  const memory = makeTestMemory(options.memoryBytes + FRAME_SPACE + HEADER_SPACE);
  const end = options.wire(memory);
  const errors: unknown[] = [];
  let wakeAtMs = Infinity;

  const link = {
    index: 0,
    device: end.device,
    mtu,
    macAddress: Uint8Array.of(2, 0, 0, 0, 0, mac),
  } as Link;
  const turn = () => {
    while (takeFrames(stack, link, clock.nowMs) === 1);
    endTurn(stack, clock.nowMs);
    const next = Math.max(nextTurnMs(stack), clock.nowMs + 0.001);
    if (next === Infinity || next >= wakeAtMs) return;
    wakeAtMs = next;
    at(clock, next, () => {
      if (wakeAtMs !== next) return;
      wakeAtMs = Infinity;
      turn();
    });
  };
  const host = makeSimulatedHost(clock, memory, random, () => stack.protocols, turn, options.serve);
  const around: Surroundings = {
    memory,
    links: [link],
    events: host.events,
    random,
    neighbours: {
      writeMac(_link: number, _family: number, _address: IpAddress, offset: number) {
        memory.bytes.set([2, 0, 0, 0, 0, otherMac], offset);
        return true;
      },
    } as unknown as Surroundings["neighbours"],
  };
  const tcp = makeTcp({
    around,
    sockets: host.sockets,
    policy: {
      decide: options.decide ?? ((_link, _source, destination, port, target) => {
        copyAddress(target.address, destination);
        target.port = port;
        return "connect";
      }),
      opened() {},
      // clients of the simulation have IPv4 addresses
      showClient: (_link, client, container, shown) =>
        copyAddress(shown, isIpv4(container) ? client : { ...client, a: 0x20010db8, b: 0, c: 0 }),
    },
    limits: options.limits ?? DEFAULT_LIMITS,
    blocks: makeBlocks(FRAME_SPACE + HEADER_SPACE, options.memoryBytes),
    protocol: 0,
    headers: FRAME_SPACE,
  });
  const stack = makeStack({
    memory,
    links: [link],
    receiveAt: 0,
    protocols: [tcp],
    handlers: { tcp },
    addFragment: () => "unknown",
    isSourceAllowed: () => true,
    onError: (error) => errors.push(error),
  });
  end.onArrival = turn;
  return { stack, tcp, host, memory, errors, turn };
}
