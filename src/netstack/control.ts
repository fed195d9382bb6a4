/**
 * What is said to the running stack, on its control socket: one JSON object a line, answered by one line each, in order.
 * A descriptor goes along by SCM_RIGHTS with the line's first byte where it says so.
 *
 * @module
 */
import * as v from "valibot";
import { IpAddressText, LinkConfig, MacText, Port } from "./config.ts";

/** The longest line; what is longer ends the connection. */
export const MAX_CONTROL_LINE_BYTES = 4 << 20;

const LinkId = v.pipe(v.string(), v.minLength(1), v.maxLength(128));

/** A published port, or a range of them: `count` ports from each first one on. */
export const PublishedPort = v.strictObject({
  protocol: v.picklist(["tcp", "udp"]),
  /** Where it listens: `0.0.0.0`, `::` (which is IPv6 alone), `127.0.0.1` … */
  hostAddress: IpAddressText,
  hostPort: Port,
  containerAddress: IpAddressText,
  containerPort: Port,
  count: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
});
export type PublishedPort = v.InferOutput<typeof PublishedPort>;

/** One rule of `--egress`, the first that fits decides. */
export const EgressRule = v.strictObject({
  action: v.picklist(["allow", "deny"]),
  /** A CIDR, a host's name (its addresses are those that the stack's own name server gave for it), or null for all. */
  to: v.nullable(v.string()),
  port: v.nullable(Port),
});
export type EgressRule = v.InferOutput<typeof EgressRule>;

export const ControlRequest = v.variant("do", [
  /** A new network; its tap's descriptor comes with the line. */
  v.strictObject({ do: v.literal("add-link"), link: LinkConfig }),
  /** Ends its connections, closes its tap and its published ports. */
  v.strictObject({ do: v.literal("remove-link"), link: LinkId }),
  /** Listens before it answers: all of the list, or none and an error (`EADDRINUSE`, `EACCES` …) that names the port. */
  v.strictObject({
    do: v.literal("publish"),
    /** By which it is taken back: a container's id. */
    owner: v.string(),
    link: LinkId,
    ports: v.pipe(v.array(PublishedPort), v.maxLength(65_535)),
  }),
  /** Takes all ports of an owner back, or those of the list. Open connections go on. */
  v.strictObject({ do: v.literal("unpublish"), owner: v.string(), ports: v.nullable(v.array(PublishedPort)) }),
  /**
   * The names of a network's containers, all of them, and by which station each of their addresses speaks: it takes the place
   * of the table before. Where stations are told, what comes from another address, or from that address by another
   * station, is dropped; an empty list trusts whoever speaks.
   */
  v.strictObject({
    do: v.literal("names"),
    link: LinkId,
    names: v.array(v.strictObject({ name: v.string(), addresses: v.array(IpAddressText) })),
    stations: v.array(v.strictObject({ address: IpAddressText, macAddress: MacText })),
  }),
  /**
   * A container's first process, whose descriptor (pidfd_open(2)) comes with the line: when it ends, the owner's ports are taken
   * back, and names of those addresses are forgotten. A stack that has watched containers ends half a minute after the last.
   */
  v.strictObject({ do: v.literal("watch"), owner: v.string(), addresses: v.array(IpAddressText) }),
  /** Where a container may connect to: all its addresses, and rules; an empty list allows everything. */
  v.strictObject({
    do: v.literal("egress"),
    link: LinkId,
    addresses: v.array(IpAddressText),
    rules: v.pipe(v.array(EgressRule), v.maxLength(1024)),
    /** Whether look-ups and connections are kept for `network log`. */
    log: v.boolean(),
  }),
  /** Writes what passes to the descriptor that comes with the line, in pcap's format, until the connection that asked ends. */
  v.strictObject({ do: v.literal("capture"), link: LinkId, addresses: v.array(IpAddressText) }),
  /** The look-ups and connections of a container that were kept, oldest first, at most `count`. */
  v.strictObject({
    do: v.literal("log"),
    link: LinkId,
    addresses: v.array(IpAddressText),
    count: v.pipe(v.number(), v.integer(), v.minValue(1)),
  }),
  v.strictObject({ do: v.literal("status") }),
  /** Ends the process; connections are reset. */
  v.strictObject({ do: v.literal("stop") }),
]);
export type ControlRequest = v.InferOutput<typeof ControlRequest>;

/** The answer to one request. `result` is there where the request asks for something. */
export type ControlAnswer =
  | { ok: true; result?: ControlResult }
  | { ok: false; error: { code: string; message: string } };

/** Figures of the stack, by name: counters since its start, and what is held now. */
export interface StackStatus {
  pid: number;
  counters: Record<string, number>;
}

/** A line of `network log`. */
export interface LogEntry {
  timeMs: number;
  kind: "name" | "tcp" | "udp";
  verdict: "allowed" | "denied" | "failed";
  /** `example.org A`, or `192.0.2.1:443`. */
  text: string;
}

export type ControlResult = { kind: "status"; status: StackStatus } | { kind: "log"; entries: LogEntry[] };

/** Written to standard output, as a line, when the stack listens and takes frames: whoever started it reads so far. */
export const READY_LINE = "ready";
