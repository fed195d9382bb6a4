/** Help for tests of archives: headers with any bytes in any field, a seeded generator, a sink that remembers. */

import { asBuffer, type ByteString, fromText } from "./bytes.ts";
import { makeEntry, type TarEntry, type TarKind } from "./entry.ts";
import { sumBlock } from "./header.ts";
import { BLOCK, HEADER, STAR } from "./layout.ts";
import { paddingOf } from "./number.ts";
import { encodePax } from "./pax.ts";
import { TarReader } from "./reader.ts";
import { encodeHeader, paddingFor, TRAILER } from "./write.ts";
import type { Random } from "../../tests/support/random.ts";

const FIELDS = { ...HEADER, trailer: STAR.trailer };

/** A header block of a file with some fields replaced by raw bytes (latin1) and its checksum right. */
export function craftHeader(fields: Partial<Record<keyof typeof FIELDS, string>>): Uint8Array {
  const block = asBuffer(encodeHeader(makeEntry(fromText("name"), "file")));
  for (const [name, text] of Object.entries(fields)) {
    const [offset, length] = FIELDS[name as keyof typeof FIELDS];
    block.fill(0, offset, offset + length);
    block.write(text, offset, length, "latin1");
  }
  if (fields.checksum === undefined) {
    const sum = sumBlock(block, 0).unsigned.toString(8).padStart(6, "0");
    block.write(`${sum}\0 `, HEADER.checksum[0], "latin1");
  }
  return block;
}

/** Content with its padding. */
export function craftContent(content: Uint8Array | string): Uint8Array {
  const bytes = typeof content === "string" ? Uint8Array.from(content, (char) => char.charCodeAt(0)) : content;
  return concat([bytes, paddingFor(bytes.length)]);
}

/** A whole extended header, `x` or `g`, of records in latin1. */
export function craftPax(records: [key: string, value: string][], type = "x"): Uint8Array {
  const content = encodePax(records.map(([key, value]) => ({
    key: key as ByteString,
    value: Uint8Array.from(value, (char) => char.charCodeAt(0)),
  })));
  return concat([
    craftHeader({ type, size: content.length.toString(8).padStart(11, "0") }),
    content,
    paddingFor(content.length),
  ]);
}

/** An archive of entries made with `makeEntry`; a content sets the size. */
export function craftTar(
  members: readonly [path: string, kind: TarKind, rest?: Partial<TarEntry>, content?: Uint8Array | string][],
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [path, kind, rest, content] of members) {
    const body = typeof content === "string" ? new TextEncoder().encode(content) : content ?? new Uint8Array(0);
    parts.push(encodeHeader(makeEntry(path as ByteString, kind, { ...rest, sizeBytes: body.length })));
    parts.push(body, paddingFor(body.length));
  }
  parts.push(TRAILER);
  return concat(parts);
}

/** All the chunks in one. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** What a reader told: entries with their content put together (files above 16 MB are told without). */
export type SeenEntry = { entry: TarEntry; content: Uint8Array };

/** Reads an archive that is cut into chunks of the sizes given, again and again. */
export function readAll(archive: Uint8Array, chunkSizes: readonly number[] = [1 << 20]): SeenEntry[] {
  const seen: SeenEntry[] = [];
  const reader = new TarReader({
    entry: (entry) => {
      const size = entry.sizeBytes <= 1 << 24 ? entry.sizeBytes : 0;
      seen.push({ entry, content: new Uint8Array(size) });
    },
    data: (bytes, offsetBytes) => {
      const { content, entry } = seen.at(-1)!;
      if (content.length === entry.sizeBytes) content.set(bytes, offsetBytes);
    },
    end: () => {},
  });
  for (let at = 0, i = 0; at < archive.length; i++) {
    const size = Math.max(1, chunkSizes[i % chunkSizes.length]!);
    reader.write(archive.subarray(at, at + size));
    at += size;
  }
  reader.finish();
  return seen;
}

/** A name part of bytes that are neither NUL nor slash. */
export function randomName(random: Random, maxLength: number): string {
  const isAscii = random.below(4) > 0;
  const byte = () => String.fromCharCode(isAscii ? 0x61 + random.below(26) : 1 + random.below(255));
  return Array.from({ length: 1 + random.below(maxLength) }, byte).join("").replaceAll("/", "-");
}

/** An entry of any shape that the writer accepts. */
export function randomEntry(random: Random): TarEntry {
  const kind = random.pick<TarKind>(["file", "file", "hardlink", "symlink", "char", "block", "directory", "fifo"]);
  const path = Array.from({ length: 1 + random.below(6) }, () => randomName(random, random.pick([5, 20, 60, 255])))
    .join("/");
  const xattrs = new Map<ByteString, Uint8Array>();
  for (let i = random.below(6) - 3; i > 0; i--) {
    const name = `user.${randomName(random, 20).replaceAll("=", "-")}` as ByteString;
    xattrs.set(name, random.bytes(random.below(100)));
  }
  const isLink = kind === "hardlink" || kind === "symlink";
  const isDevice = kind === "char" || kind === "block";
  const id = () => random.pick([0, 1000, 2097151, 2097152, 172761424, 2 ** 32 - 2]);
  return makeEntry(path as ByteString, kind, {
    linkPath: (isLink ? randomName(random, random.pick([10, 99, 100, 101, 255])) : "") as ByteString,
    mode: random.below(0o10000),
    uid: id(),
    gid: id(),
    userName: random.pick(["", "root", randomName(random, 40)]) as ByteString,
    groupName: random.pick(["", "root", randomName(random, 40)]) as ByteString,
    sizeBytes: kind === "file" ? random.pick([0, 1, 511, 512, 513, random.below(5000)]) : 0,
    mtimeSeconds: random.pick([0, 1, -1, -(2 ** 40), 8 ** 11 - 1, 8 ** 11, 2 ** 53 - 1, random.below(2 ** 31)]),
    mtimeNanoseconds: random.pick([0, 0, 1, 999_999_999, 120_000_000]),
    deviceMajor: isDevice ? random.below(4096) : 0,
    deviceMinor: isDevice ? random.below(1 << 20) : 0,
    xattrs,
  });
}

/** How many blocks content of that size takes. */
export function blocksOf(sizeBytes: number): number {
  return (sizeBytes + paddingOf(sizeBytes)) / BLOCK;
}
