/**
 * The process of the stack, from its standard input to its end.
 *
 * @module
 */
import { addressOf, allocate, favourThroughput } from "#ffi/mod.ts";
import { call, type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, O_CLOEXEC, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY, openAt } from "#linux/file.ts";
import * as v from "valibot";
import { StackConfig } from "../config.ts";
import { READY_LINE } from "../control.ts";
import type { Device } from "../device/device.ts";
import { pcapHeader, type Tracer } from "../device/pcap.ts";
import { makeRecordWriter } from "./answer_request.ts";
import { makeControlServer } from "./control_server.ts";
import { runLoop } from "./loop.ts";
import { addLink, makeNetstack } from "./netstack.ts";

const MAX_CONFIG_BYTES = 4 << 20;
/** Errors of our own are told, but not each of a million. */
const MOST_ERRORS_TOLD = 20;

/**
 * Runs the stack until it is told to stop.
 * @param wrapDevice See {@linkcode makeNetstack}.
 * @returns The exit code.
 */
export function runNetstack(wrapDevice?: (device: Device) => Device): number {
  favourThroughput();
  const config = v.parse(StackConfig, JSON.parse(readInput()));
  let told = 0;
  const netstack = makeNetstack(config, (error) => {
    if (told++ < MOST_ERRORS_TOLD) say(2, `${error instanceof Error ? error.stack : String(error)}\n`);
  }, wrapDevice);
  netstack.watched.isUsed = config.endsWhenIdle === true;
  if (config.pcap !== null) netstack.tracers.add(openPcap(config.pcap));
  for (const { fd, link } of config.links) addLink(netstack, fd as Fd, link);
  const control = makeControlServer(netstack, config.controlFd as Fd);
  say(1, `${READY_LINE}\n`);
  // whoever waits for the line may wait for the end of the pipe, too; the numbers stay taken, so that no socket becomes one
  const nothing = openAt(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
  for (const fd of [0, 1]) call("dup3", "/dev/null", nothing, fd, 0);
  close(nothing);
  const clock = performance.now.bind(performance);
  runLoop(netstack, control, clock);
  // whoever talks to it now starts another one
  close(config.controlFd as Fd);
  return 0;
}

function openPcap(path: string): Tracer {
  const fd = openAt(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600);
  const tracer: Tracer = { addresses: [], write: makeRecordWriter(fd, () => {}) };
  tracer.write(pcapHeader());
  return tracer;
}

function readInput(): string {
  const chunk = allocate(65_536);
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const count = call("read", "standard input", 0, addressOf(chunk), chunk.length);
    if (count === 0) return text + decoder.decode();
    text += decoder.decode(chunk.subarray(0, count), { stream: true });
    if (text.length > MAX_CONFIG_BYTES) throw new Error("The configuration is longer than 4 MiB");
  }
}

function say(fd: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  const stable = allocate(bytes.length);
  stable.set(bytes);
  tryCall("write", fd, addressOf(stable), stable.length);
}
