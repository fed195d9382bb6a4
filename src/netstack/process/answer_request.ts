/**
 * What each request of the control socket does.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { errnoName, errnoText } from "#linux/errno.ts";
import { close } from "#linux/file.ts";
import type { ControlRequest, ControlResult, PublishedPort } from "../control.ts";
import { pcapHeader, type Tracer } from "../device/pcap.ts";
import { type IpAddress, parseIpAddress } from "../ip_address.ts";
import { parseMac } from "../link_addresses.ts";
import { addLink, type Netstack, removeLink } from "./netstack.ts";
import { publishPorts, unpublishPorts } from "./published_ports.ts";
import { readStatus } from "./status.ts";
import { setNames, watchContainer } from "./watched_containers.ts";

/** A request that cannot be done, with a code for whoever asked. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface RequestContext {
  readonly netstack: Netstack;
  readonly nowMs: number;
  /** The descriptor that came with the request; it is the caller's from then on. */
  takeFd(): Fd | undefined;
  /** Has something done when the connection that asked ends. */
  onEnd(stop: () => void): void;
  /** Has the process end after this turn. */
  stop(): void;
}

/** @throws {ControlError} */
export function answerRequest(context: RequestContext, request: ControlRequest): ControlResult | undefined {
  const { netstack } = context;
  switch (request.do) {
    case "add-link": {
      const fd = context.takeFd();
      if (fd === undefined) throw new ControlError("NO_DESCRIPTOR", "No tap came with the request");
      try {
        addLink(netstack, fd, request.link);
      } catch (error) {
        close(fd);
        throw error;
      }
      return undefined;
    }
    case "remove-link": {
      removeLink(netstack, findLink(netstack, request.link));
      return undefined;
    }
    case "publish":
      publish(netstack, request.owner, findLink(netstack, request.link), request.ports);
      return undefined;
    case "unpublish": {
      const { owner, ports } = request;
      const keys = ports === null ? undefined : new Set(ports.map((port) => JSON.stringify(port)));
      unpublishPorts(
        netstack,
        (one) => one.owner === owner && (keys === undefined || keys.has(JSON.stringify(one.port))),
      );
      return undefined;
    }
    case "names": {
      const entries = request.names.map(({ name, addresses }) => ({ name, addresses: addresses.map(readAddress) }));
      const link = findLink(netstack, request.link);
      setNames(netstack, link, entries, context.nowMs);
      netstack.neighbours.setStations(
        link,
        request.stations.map(({ address, macAddress }) => ({
          address: readAddress(address),
          mac: parseMac(macAddress),
        })),
      );
      return undefined;
    }
    case "watch": {
      const fd = context.takeFd();
      if (fd === undefined) throw new ControlError("NO_DESCRIPTOR", "No process came with the request");
      watchContainer(netstack, fd, request.owner, request.addresses.map(readAddress));
      return undefined;
    }
    case "egress": {
      const link = findLink(netstack, request.link);
      const fault = netstack.egress.set(link, request.addresses.map(readAddress), request.rules, request.log);
      if (fault !== undefined) throw new ControlError("INVALID_RULE", fault);
      return undefined;
    }
    case "capture":
      capture(context, findLink(netstack, request.link), request.addresses.map(readAddress));
      return undefined;
    case "log": {
      const link = findLink(netstack, request.link);
      return { kind: "log", entries: netstack.egress.read(link, request.addresses.map(readAddress), request.count) };
    }
    case "status":
      return { kind: "status", status: readStatus(netstack) };
    case "stop":
      context.stop();
      return undefined;
    default:
      throw new Error(`Unknown request ${request satisfies never}`);
  }
}

function findLink(netstack: Netstack, id: string): number {
  const index = netstack.open.findIndex((link) => link?.id === id);
  if (index === -1) throw new ControlError("NO_LINK", `The stack has no network "${id}"`);
  return index;
}

/** An address that its schema has checked. */
function readAddress(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new ControlError("INVALID", `"${text}" is no address`);
  return address;
}

function publish(netstack: Netstack, owner: string, link: number, ports: readonly PublishedPort[]): void {
  const failure = publishPorts(netstack, owner, link, ports);
  if (failure === undefined) return;
  const code = errnoName(failure.errno);
  const { hostAddress } = failure.port;
  const shown = hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress;
  throw new ControlError(code, `Cannot listen at ${shown}:${failure.hostPort}: ${errnoText(code)}`);
}

/** Writes frames to the descriptor that came along, until whoever asked has gone, or reads no more. */
function capture(context: RequestContext, link: number, addresses: readonly IpAddress[]): void {
  const fd = context.takeFd();
  if (fd === undefined) throw new ControlError("NO_DESCRIPTOR", "No file came with the request");
  const { tracers } = context.netstack.open[link]!;
  const tracer: Tracer = { addresses, write: makeRecordWriter(fd, () => tracers.delete(tracer)) };
  tracer.write(pcapHeader());
  tracers.add(tracer);
  context.onEnd(() => {
    tracers.delete(tracer);
    close(fd);
  });
}

/** Writes records whole, or not at all: a reader that is slow misses some, and keeps nobody waiting. */
export function makeRecordWriter(fd: Fd, onFailure: () => void): (record: Uint8Array<ArrayBuffer>) => void {
  const POLLOUT = 4;
  const EAGAIN = 11;
  const entry = allocate(8);
  const view = new DataView(entry.buffer);
  const time = allocate(16);
  let rest: Uint8Array<ArrayBuffer> | undefined;
  const write = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined => {
    const copy = allocate(bytes.length);
    copy.set(bytes);
    for (let done = 0; done < copy.length;) {
      view.setInt32(0, fd, true);
      view.setInt32(4, POLLOUT, true);
      if (tryCall("ppoll", addressOf(entry), 1, addressOf(time), 0, 0) !== 1) return copy.slice(done);
      // a pipe that can be written takes a page without waiting
      const result = tryCall("write", fd, addressOf(copy) + done, Math.min(copy.length - done, 4096));
      if (result === -EAGAIN) return copy.slice(done);
      if (result < 0) {
        onFailure();
        return undefined;
      }
      done += result;
    }
    return undefined;
  };
  return (record) => {
    if (rest !== undefined) {
      rest = write(rest);
      if (rest !== undefined) return;
    }
    rest = write(record);
  };
}
