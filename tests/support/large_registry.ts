/**
 * A registry with one image of one huge layer that is nowhere on a disk: its gzip members repeat. Run as a program it prints its address and
 * serves until its standard input ends, so that who measures may block.
 *
 *     large_registry.ts MIB     the size of the layer's only file
 *
 * What is pushed to it is counted and thrown away.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

const MIB = 1024 * 1024;
const CHUNK_MIB = 32;

/** Half noise, half zeros, which compresses a little, as layers do; or zeros alone. */
function makeChunk(isBomb: boolean): Uint8Array {
  const chunk = new Uint8Array(CHUNK_MIB * MIB);
  if (isBomb) return chunk;
  const words = new Uint32Array(chunk.buffer, 0, chunk.length / 4);
  // xorshift32 (Marsaglia 2003), so that the digests are the same each time
  let state = 0x2545f491;
  for (let at = 0; at < words.length; at++) {
    if (at % 8192 >= 4096) continue;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state >>> 0;
  }
  return chunk;
}

function makeHeader(name: string, sizeBytes: number): Uint8Array {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write("0000644\0" + "0000000\0" + "0000000\0", 100, "latin1");
  header.write(`${sizeBytes.toString(8).padStart(11, "0")}\0` + "14700000000\0", 124, "latin1");
  header.write("        0", 148, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** The parts of the layer, in order, and what they are together. */
interface Layer {
  parts: Uint8Array[];
  sizeBytes: number;
  digest: string;
  diffId: string;
}

function makeLayer(mebibytes: number, isBomb: boolean): Layer {
  const rounds = Math.ceil(mebibytes / CHUNK_MIB);
  const chunk = makeChunk(isBomb);
  const plain = [
    makeHeader("large", rounds * chunk.length),
    ...Array<Uint8Array>(rounds).fill(chunk),
    Buffer.alloc(1024),
  ];
  const packed = new Map([...new Set(plain)].map((part) => [part, gzipSync(part, { level: isBomb ? 9 : 1 })]));
  const parts = plain.map((part) => packed.get(part) ?? part);
  const digestOf = (all: readonly Uint8Array[]) => {
    const hash = createHash("sha256");
    for (const part of all) hash.update(part);
    return `sha256:${hash.digest("hex")}`;
  };
  const sizeBytes = parts.reduce((sum, { length }) => sum + length, 0);
  return { parts, sizeBytes, digest: digestOf(parts), diffId: digestOf(plain) };
}

function describeBytes(mediaType: string, bytes: Uint8Array): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, size: bytes.length };
}

async function waitForRoom(response: ServerResponse): Promise<void> {
  let wake = () => {};
  await new Promise<void>((resolve) => {
    wake = resolve;
    response.on("drain", wake);
    response.on("close", wake);
  });
  response.off("drain", wake);
  response.off("close", wake);
}

async function sendParts(layer: Layer, response: ServerResponse): Promise<void> {
  for (const part of layer.parts) {
    if (response.destroyed) return;
    if (!response.write(part)) {
      await waitForRoom(response);
    }
  }
  response.end();
}

async function countBody(request: IncomingMessage): Promise<{ bytes: number; digest: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of request) {
    bytes += (piece as Uint8Array).length;
    hash.update(piece as Uint8Array);
  }
  return { bytes, digest: `sha256:${hash.digest("hex")}` };
}

/**
 * Starts the registry.
 * @param isBomb The layer's file is zeros: a thousandth of it comes over the wire.
 */
export async function serveLargeImage(
  mebibytes: number,
  isBomb = false,
): Promise<{ host: string; close: () => void }> {
  const layer = makeLayer(mebibytes, isBomb);
  const config = Buffer.from(JSON.stringify({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
  }));
  const type = "application/vnd.oci.image";
  const manifest = Buffer.from(JSON.stringify({
    schemaVersion: 2,
    mediaType: `${type}.manifest.v1+json`,
    config: describeBytes(`${type}.config.v1+json`, config),
    layers: [{ mediaType: `${type}.layer.v1.tar+gzip`, digest: layer.digest, size: layer.sizeBytes }],
  }));
  const { digest } = describeBytes("", manifest);
  const sent = new Map<string, string>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? "";
    const isBlob = /^\/v2\/large\/blobs\//.test(path);
    if (request.method === "GET" && isBlob && path.endsWith(layer.digest)) {
      response.writeHead(200, { "content-length": String(layer.sizeBytes) });
      await sendParts(layer, response);
    } else if (request.method === "GET" && isBlob) {
      response.writeHead(200, { "content-length": String(config.length) }).end(config);
    } else if (request.method === "GET" && path.startsWith("/v2/large/manifests/")) {
      response.writeHead(200, { "content-type": `${type}.manifest.v1+json`, "docker-content-digest": digest }).end(
        manifest,
      );
    } else if (request.method === "POST" || request.method === "PATCH" || request.method === "PUT") {
      const body = await countBody(request);
      const location = `/v2/copy/blobs/uploads/${sent.size}`;
      if (request.method === "PATCH") sent.set(location, body.digest);
      const wanted = new URL(path, "http://x").searchParams.get("digest");
      const isRight = request.method !== "PUT" || path.includes("/manifests/") || body.bytes > 0 ||
        [...sent.values()].includes(wanted ?? "");
      response.writeHead(!isRight ? 400 : request.method === "PUT" ? 201 : 202, { location }).end();
    } else {
      response.writeHead(path === "/v2/" ? 200 : 404).end();
    }
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

if (import.meta.main) {
  const { host, close } = await serveLargeImage(Number(process.argv[2]));
  process.stdout.write(`${host}\n`);
  process.stdin.resume();
  process.stdin.on("end", close);
}
