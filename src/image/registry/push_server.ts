/** A registry in memory that takes pushes, for tests: what it was given can be looked at, and any request can be answered otherwise. */
import type { ServerResponse } from "node:http";
import { hashBytes } from "#oci/digest.ts";
import { answer, answerJson, type LoggedRequest, type Script } from "./scripted_server.ts";

export interface PushServer {
  script: Script;
  /** By `REPOSITORY DIGEST`. */
  blobs: Map<string, Uint8Array>;
  /** By `REPOSITORY TAG-OR-DIGEST`. */
  manifests: Map<string, { bytes: Uint8Array; mediaType: string }>;
  /** Open uploads. */
  uploads: Map<string, Uint8Array>;
}

/** @param intercept Answers a request in the registry's place, and returns true when it did. */
export function makePushServer(
  intercept: (request: LoggedRequest, response: ServerResponse, server: PushServer) => boolean = () => false,
): PushServer {
  let opened = 0;
  const server: PushServer = {
    blobs: new Map(),
    manifests: new Map(),
    uploads: new Map(),
    script: (request, response) => {
      if (!intercept(request, response, server)) answerPush(server, request, response, () => `u${++opened}`);
    },
  };
  return server;
}

/** The Location of an upload, with a state in its query, as Debian's registry has it. */
export function uploadLocation(repository: string, id: string): string {
  return `/v2/${repository}/blobs/uploads/${id}?_state=a%2Fb%3D`;
}

function answerPush(server: PushServer, request: LoggedRequest, response: ServerResponse, nextId: () => string): void {
  const { method, bytes } = request;
  const url = new URL(request.url, "http://registry");
  if (url.pathname === "/v2/") return answer(response, 200, "{}");
  const blob = /^\/v2\/(.+)\/blobs\/(sha256:.+)$/.exec(url.pathname);
  if (blob !== null) {
    const found = server.blobs.get(`${blob[1]} ${blob[2]}`);
    if (found === undefined) return answer(response, 404);
    response.writeHead(200, { "content-length": String(found.length) });
    response.end(method === "HEAD" ? undefined : found);
    return;
  }
  const manifest = /^\/v2\/(.+)\/manifests\/(.+)$/.exec(url.pathname);
  if (manifest !== null && method === "PUT") {
    const mediaType = request.headers["content-type"] ?? "";
    for (const key of [manifest[2], hashBytes(bytes)]) {
      server.manifests.set(`${manifest[1]} ${key}`, { bytes, mediaType });
    }
    return answer(response, 201, "", { "docker-content-digest": hashBytes(bytes) });
  }
  const upload = /^\/v2\/(.+)\/blobs\/uploads\/(.*)$/.exec(url.pathname);
  if (upload === null) return answer(response, 404);
  const [, repository = "", id = ""] = upload;
  if (method === "POST") {
    const mounted = server.blobs.get(`${url.searchParams.get("from")} ${url.searchParams.get("mount")}`);
    if (mounted !== undefined) {
      server.blobs.set(`${repository} ${url.searchParams.get("mount")}`, mounted);
      return answer(response, 201, "", { location: "/mounted" });
    }
    const opened = nextId();
    server.uploads.set(opened, new Uint8Array(0));
    return answer(response, 202, "", { location: uploadLocation(repository, opened), range: "0-0" });
  }
  const before = server.uploads.get(id);
  if (before === undefined || url.searchParams.get("_state") !== "a/b=") {
    return answerJson(response, 404, { errors: [{ code: "BLOB_UPLOAD_UNKNOWN", message: "unknown upload" }] });
  }
  const range = `0-${Math.max(before.length - 1, 0)}`;
  if (method === "GET") return answer(response, 204, "", { location: uploadLocation(repository, id), range });
  const from = /^(\d+)-/.exec(request.headers["content-range"] ?? "0-")?.[1];
  if (method === "PATCH" && Number(from) !== before.length) return answer(response, 416, "", { range });
  const all = Buffer.concat([before, bytes]);
  server.uploads.set(id, all);
  if (method === "PATCH") {
    return answer(response, 202, "", { location: uploadLocation(repository, id), range: `0-${all.length - 1}` });
  }
  const digest = url.searchParams.get("digest") ?? "";
  if (hashBytes(all) !== digest) {
    return answerJson(response, 400, { errors: [{ code: "DIGEST_INVALID", message: "another digest" }] });
  }
  server.uploads.delete(id);
  server.blobs.set(`${repository} ${digest}`, all);
  return answer(response, 201, "", { location: `/v2/${repository}/blobs/${digest}`, "docker-content-digest": digest });
}
