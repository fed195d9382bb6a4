/**
 * A registry that says what a test wants, on 127.0.0.1; tests only. It keeps a log of what it was asked, Authorization included, so that a
 * test can see what was not sent.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { hashBytes } from "#oci/digest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";

export interface LoggedRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
  bytes: Uint8Array;
}

/** Answers one request; returns nothing when it has ended the response itself. */
export type Script = (request: LoggedRequest, response: ServerResponse) => void | Promise<void>;

export interface ScriptedServer {
  host: string;
  port: number;
  origin: string;
  log: LoggedRequest[];
  close: () => Promise<void>;
}

async function readAll(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** Starts a server; with a certificate and key in PEM it speaks TLS. */
export async function startServer(script: Script, tls?: { cert: string; key: string }): Promise<ScriptedServer> {
  const log: LoggedRequest[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(request.headers)) headers[name] = String(value);
    const bytes = await readAll(request);
    const body = new TextDecoder().decode(bytes);
    const logged = { method: request.method ?? "", url: request.url ?? "", headers, body, bytes };
    log.push(logged);
    await script(logged, response);
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response).catch((error) => response.destroy(error));
  };
  const server = tls === undefined ? createServer(onRequest) : createTlsServer(tls, onRequest);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    port,
    origin: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    log,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Answers with a status, fields and a body. */
export function answer(
  response: ServerResponse,
  status: number,
  body: string | Uint8Array = "",
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-length": String(Buffer.byteLength(body)), ...headers });
  response.end(body);
}

/** Answers with JSON. */
export function answerJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  answer(response, status, JSON.stringify(value), { "content-type": "application/json", ...headers });
}

/** An image made of these layers, as a registry holds it. */
export interface MadeImage {
  config: Uint8Array;
  manifest: Uint8Array;
  layers: Uint8Array[];
  digest: string;
  blobs: Map<string, Uint8Array>;
}

/** Makes an image; `layers` are the blobs, `diffIds` their uncompressed digests (the same, when absent). */
export function makeImage(
  layers: Uint8Array[],
  options: { diffIds?: string[]; os?: string; architecture?: string; layerType?: string } = {},
): MadeImage {
  const diffIds = options.diffIds ?? layers.map((layer) => hashBytes(layer));
  const config = Buffer.from(JSON.stringify({
    architecture: options.architecture ?? "amd64",
    os: options.os ?? "linux",
    config: { Cmd: ["true"] },
    rootfs: { type: "layers", diff_ids: diffIds },
  }));
  const descriptor = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: hashBytes(bytes),
    size: bytes.length,
  });
  const manifest = Buffer.from(JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: descriptor(MEDIA_TYPES.ociConfig, config),
    layers: layers.map((layer) => descriptor(options.layerType ?? MEDIA_TYPES.ociLayer, layer)),
  }));
  const blobs = new Map([config, ...layers].map((bytes) => [hashBytes(bytes) as string, bytes]));
  return { config, manifest, layers, digest: hashBytes(manifest), blobs };
}

/** A script that serves one image under every tag of every repository, or nothing else. */
export function serveImage(image: MadeImage): Script {
  return (request, response) => {
    const path = request.url.split("?")[0] ?? "";
    if (path === "/v2/") return answer(response, 200, "{}");
    const blob = /^\/v2\/[a-z0-9/._-]+\/blobs\/(sha256:[0-9a-f]{64})$/.exec(path);
    if (blob !== null) {
      const bytes = image.blobs.get(blob[1] ?? "");
      if (bytes === undefined) {
        return answerJson(response, 404, { errors: [{ code: "BLOB_UNKNOWN", message: "no such blob" }] });
      }
      return answerRange(request, response, bytes);
    }
    if (/^\/v2\/[a-z0-9/._-]+\/manifests\//.test(path)) {
      return answer(response, 200, image.manifest, {
        "content-type": MEDIA_TYPES.ociManifest,
        "docker-content-digest": image.digest,
      });
    }
    answer(response, 404);
  };
}

/** Answers with bytes, or the part of them that Range asks for. */
export function answerRange(request: LoggedRequest, response: ServerResponse, bytes: Uint8Array): void {
  const range = /^bytes=(\d+)-$/.exec(request.headers["range"] ?? "");
  if (range === null) return answer(response, 200, bytes);
  const start = Number(range[1]);
  answer(response, 206, bytes.subarray(start), {
    "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
  });
}
