import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { hashBytes } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { makeBytes } from "#storage/test_store.ts";
import { endpointOf, makeTestClient } from "./client_support.ts";
import { hasCode, RegistryError } from "./error.ts";
import { makePushServer, type PushServer, uploadLocation } from "./push_server.ts";
import { answer, answerJson, type LoggedRequest, type ScriptedServer, startServer } from "./scripted_server.ts";
import { type BlobSource, uploadBlob, type UploadOutcome } from "./upload.ts";
import type { Credentials } from "./credentials.ts";

const LARGE = makeBytes(4_500_017, 5);
/** More than sockets on the loopback hold for somebody who does not read. */
const HUGE = makeBytes(24_000_000, 7);
const SMALL = new TextEncoder().encode("a few bytes");

function sourceOf(bytes: Uint8Array, mountFrom?: string): BlobSource {
  return {
    descriptor: { digest: hashBytes(bytes), size: bytes.length },
    async *open(offset) {
      // one buffer for all pieces, as the store has it
      const buffer = new Uint8Array(300_000);
      for (let at = offset; at < bytes.length; at += buffer.length) {
        const piece = bytes.subarray(at, at + buffer.length);
        buffer.set(piece);
        yield await Promise.resolve(buffer.subarray(0, piece.length));
      }
    },
    mountFrom,
  };
}

interface Pushed {
  outcome: UploadOutcome | undefined;
  error: unknown;
  server: PushServer;
  log: LoggedRequest[];
  waits: number[];
  progress: number[];
}

type Intercept = (request: LoggedRequest, response: ServerResponse, server: PushServer) => boolean;

async function push(
  source: BlobSource,
  intercept: Intercept = () => false,
  prepare: (server: PushServer) => void = () => {},
  credentials?: (host: string) => Record<string, Credentials>,
): Promise<Pushed> {
  const server = makePushServer(intercept);
  prepare(server);
  const listening = await startServer(server.script);
  const { client, waits } = makeTestClient(credentials?.(listening.host) ?? {});
  const progress: number[] = [];
  const pushed: Pushed = { outcome: undefined, error: undefined, server, log: listening.log, waits, progress };
  try {
    pushed.outcome = await uploadBlob(client, endpointOf(listening.host), source, {
      what: 'the layer "x"',
      onProgress: (done) => progress.push(done),
    });
  } catch (error) {
    pushed.error = error;
  } finally {
    client.close();
    await listening.close();
  }
  return pushed;
}

const methods = ({ log }: Pushed): string[] =>
  log.filter(({ url }) => url !== "/v2/").map(({ method, url }) =>
    `${method}${url.includes("digest=") ? " digest" : ""}`
  );

const keyOf = (bytes: Uint8Array): string => `some/image ${hashBytes(bytes)}`;

test("a blob that is there is not sent; one of another size is", async () => {
  const there = await push(sourceOf(SMALL), undefined, ({ blobs }) => blobs.set(keyOf(SMALL), SMALL));
  assert.equal(there.outcome, "exists");
  assert.deepEqual(methods(there), ["HEAD"]);
  const cut = await push(sourceOf(SMALL), undefined, ({ blobs }) => blobs.set(keyOf(SMALL), SMALL.subarray(1)));
  assert.equal(cut.outcome, "uploaded");
});

test("a small blob goes in one request, a large one in one PATCH, streamed", async () => {
  const small = await push(sourceOf(SMALL));
  assert.deepEqual(methods(small), ["HEAD", "POST", "PUT digest"]);
  assert.deepEqual(Buffer.from(small.server.blobs.get(keyOf(SMALL))!), Buffer.from(SMALL));
  const empty = await push(sourceOf(new Uint8Array(0)));
  assert.equal(empty.outcome, "uploaded");
  const large = await push(sourceOf(LARGE));
  assert.deepEqual(methods(large), ["HEAD", "POST", "PATCH", "PUT digest"]);
  assert.ok(Buffer.from(large.server.blobs.get(keyOf(LARGE))!).equals(LARGE));
  assert.equal(large.progress.at(-1), LARGE.length);
});

test("C-040 a mount is asked for with its source only, and what refuses it gets an upload", async () => {
  const without = await push(sourceOf(SMALL));
  assert.ok(without.log.every(({ url }) => !url.includes("mount=")));
  const mounted = await push(
    sourceOf(SMALL, "other/image"),
    undefined,
    ({ blobs }) => blobs.set(`other/image ${hashBytes(SMALL)}`, SMALL),
  );
  assert.equal(mounted.outcome, "mounted");
  const [post] = mounted.log.filter(({ method }) => method === "POST");
  assert.match(post?.url ?? "", /uploads\/\?mount=sha256%3A[0-9a-f]{64}&from=other%2Fimage$/);
  // 202: the registry does not have it after all, and has opened an upload at once
  const opened = await push(sourceOf(SMALL, "other/image"));
  assert.deepEqual(methods(opened), ["HEAD", "POST", "PUT digest"]);
  for (const status of [400, 401, 403, 404, 405]) {
    const refused = await push(sourceOf(SMALL, "other/image"), ({ url }, response) => {
      if (!url.includes("mount=")) return false;
      answer(response, status);
      return true;
    });
    assert.equal(refused.outcome, "uploaded", String(status));
    assert.equal(refused.server.uploads.size, 0);
  }
});

test("C-041 an answer without Location is tried once more, then named with layer, request and status", async () => {
  for (const method of ["POST", "PATCH"]) {
    let bad = 0;
    const intercept = (times: number): Intercept => (request, response) => {
      if (request.method !== method || bad >= times) return false;
      bad++;
      answer(response, 202);
      return true;
    };
    assert.equal((await push(sourceOf(LARGE), intercept(1))).outcome, "uploaded");
    bad = 0;
    const { error } = await push(sourceOf(LARGE), intercept(Infinity));
    assert.ok(error instanceof RegistryError && error.code === "LOCATION_MISSING");
    assert.match(error.message, new RegExp(`the layer "x": registry "127\\.0\\.0\\.1:\\d+" answered 202 to ${method}`));
    assert.equal(bad, 2);
  }
});

test("C-037 an upload that is cut goes on from what has arrived", async () => {
  let cuts = 0;
  const pushed = await push(sourceOf(LARGE), (request, response, server) => {
    if (request.method !== "PATCH" || cuts >= 2) return false;
    cuts++;
    const id = /uploads\/(u\d+)/.exec(request.url)?.[1] ?? "";
    const before = server.uploads.get(id)!;
    server.uploads.set(id, Buffer.concat([before, request.bytes.subarray(0, 2_000_000)]));
    response.destroy();
    return true;
  });
  assert.equal(pushed.outcome, "uploaded");
  assert.ok(Buffer.from(pushed.server.blobs.get(keyOf(LARGE))!).equals(LARGE));
  const ranges = pushed.log.filter(({ method }) => method === "PATCH").map(({ headers }) => headers["content-range"]);
  assert.deepEqual(ranges, [undefined, `2000000-${LARGE.length - 1}`, `4000000-${LARGE.length - 1}`]);
});

test("C-037 passing faults are repeated at every step, what the registry decides is not", async () => {
  for (const method of ["HEAD", "POST", "PATCH", "PUT"]) {
    const bytes = method === "PATCH" ? LARGE : SMALL;
    for (const status of [429, 500, 502, 503, 504]) {
      let bad = 0;
      const pushed = await push(sourceOf(bytes), (request, response) => {
        if (request.method !== method || bad > 0) return false;
        bad++;
        answer(response, status);
        return true;
      });
      assert.equal(pushed.outcome, "uploaded", `${method} ${status}`);
      assert.equal(pushed.waits.length, 1);
    }
    for (const status of [400, 403]) {
      const pushed = await push(sourceOf(bytes), (request, response) => {
        if (request.method !== method) return false;
        answerJson(response, status, { errors: [{ code: "DENIED", message: "not \x1b[31myours" }] });
        return true;
      });
      assert.ok(pushed.error instanceof RegistryError, `${method} ${status}`);
      assert.equal(pushed.error.status, status);
      assert.equal(pushed.waits.length, 0);
      assert.equal(pushed.log.filter((request) => request.method === method).length, 1);
      assert.doesNotMatch(pushed.error.message, /\x1b/);
    }
  }
});

test("C-037 an upload that the registry has forgotten is begun anew, once; an answer that is lost costs nothing", async () => {
  let bad = 0;
  const forgotten = await push(sourceOf(LARGE), (request, response) => {
    if (request.method !== "PUT" || bad++ > 0) return false;
    answer(response, 404);
    return true;
  });
  assert.equal(forgotten.outcome, "uploaded");
  assert.deepEqual(methods(forgotten).filter((word) => word === "POST").length, 2);
  let isLost = false;
  const lost = await push(sourceOf(LARGE), (request, response, server) => {
    if (request.method !== "PUT" || isLost) return false;
    isLost = true;
    server.blobs.set(keyOf(LARGE), LARGE);
    server.uploads.clear();
    response.destroy();
    return true;
  });
  assert.equal(lost.outcome, "uploaded");
  assert.equal(methods(lost).filter((word) => word === "PATCH").length, 1);
});

/** A token server and a registry that takes each token for some requests only. */
function expiring(lives: number): { intercept: Intercept; tokens: () => number; scopes: string[] } {
  let issued = 0;
  let uses = 0;
  const scopes: string[] = [];
  return {
    scopes,
    tokens: () => issued,
    intercept: (request, response) => {
      if (request.url.startsWith("/token")) {
        scopes.push(...new URL(request.url, "http://t").searchParams.getAll("scope"));
        uses = 0;
        answerJson(response, 200, { token: `t${++issued}`, expires_in: 3600 });
        return true;
      }
      if (request.headers["authorization"] === `Bearer t${issued}` && issued > 0 && uses++ < lives) return false;
      const realm = `http://${request.headers["host"]}/token`;
      answer(response, 401, "", { "www-authenticate": `Bearer realm="${realm}",service="s"` });
      return true;
    },
  };
}

test("C-038 a token that dies during an upload is renewed at any request, and that request alone is repeated", async () => {
  for (const lives of [1, 2, 3]) {
    const registry = expiring(lives);
    const pushed = await push(sourceOf(LARGE), registry.intercept, undefined, (host) => ({
      [host]: { kind: "password", username: "me", password: "secret" },
    }));
    assert.equal(pushed.error, undefined);
    assert.equal(pushed.outcome, "uploaded");
    assert.ok(registry.tokens() > 1);
    assert.ok(registry.scopes.every((scope) => scope === "repository:some/image:pull,push"), registry.scopes.join());
    assert.ok(Buffer.from(pushed.server.blobs.get(keyOf(LARGE))!).equals(LARGE));
    // after the data has been taken once it is not sent again
    const taken = pushed.log.filter(({ method, headers }) =>
      method === "PATCH" && headers["authorization"] !== undefined
    );
    assert.ok(taken.length <= 2);
  }
});

async function pushElsewhere(location: (other: ScriptedServer, path: string) => string): Promise<{
  pushed: Pushed;
  other: LoggedRequest[];
}> {
  const storage = makePushServer();
  const other = await startServer(storage.script);
  storage.uploads.set("u1", new Uint8Array(0));
  try {
    const registry = expiring(Infinity);
    const pushed = await push(
      sourceOf(LARGE),
      (request, response, server) => {
        if (registry.intercept(request, response, server)) return true;
        if (request.method !== "POST") return false;
        answer(response, 202, "", { location: location(other, uploadLocation("some/image", "u1")) });
        return true;
      },
      ({ uploads }) => uploads.set("u1", new Uint8Array(0)),
      (host) => ({ [host]: { kind: "password", username: "me", password: "secret" } }),
    );
    return { pushed, other: other.log };
  } finally {
    await other.close();
  }
}

test("A-017 C-039 an upload that goes on at another origin gets no Authorization there; at its own it does", async () => {
  const elsewhere = await pushElsewhere(({ origin }, path) => origin + path);
  assert.equal(elsewhere.pushed.outcome, "uploaded");
  assert.deepEqual(elsewhere.other.map(({ method }) => method), ["PATCH", "PUT"]);
  for (const { headers } of elsewhere.other) {
    assert.equal(headers["authorization"], undefined);
    assert.equal(headers["cookie"], undefined);
  }
  const bySlashes = await pushElsewhere(({ host }, path) => `//${host}${path}`);
  assert.equal(bySlashes.pushed.outcome, "uploaded");
  assert.ok(bySlashes.other.every(({ headers }) => headers["authorization"] === undefined));
  for (
    const own of [
      (path: string) => path,
      (path: string) => `..${path.slice(path.indexOf("/blobs/"))}`.replace("../blobs/uploads/", "./"),
    ]
  ) {
    const at = await pushElsewhere((_, path) => own(path));
    assert.equal(at.pushed.outcome, "uploaded");
    assert.equal(at.other.length, 0);
    const sent = at.pushed.log.filter(({ method }) => method === "PATCH" || method === "PUT");
    assert.ok(sent.length === 2 && sent.every(({ headers }) => headers["authorization"] === "Bearer t1"));
  }
});

test("A-016 A-017 a Location that is no http address, names a user, or is a redirect of POST, PATCH or PUT is refused", async () => {
  for (const bad of ["file:///etc/hostname", "data:,x", "http://me@127.0.0.1/x", "http://127.0.0.1:1/a b", "blob:x"]) {
    const { pushed, other } = await pushElsewhere(() => bad);
    assert.ok(hasCode(pushed.error, "URL_REFUSED"), bad);
    assert.equal(other.length, 0);
  }
  for (const method of ["POST", "PATCH", "PUT"]) {
    const target = await startServer((_, response) => answer(response, 201));
    try {
      const pushed = await push(sourceOf(LARGE), (request, response) => {
        if (request.method !== method) return false;
        answer(response, 307, "", { location: `${target.origin}/stolen` });
        return true;
      });
      assert.ok(pushed.error instanceof RegistryError && pushed.error.status === 307);
      assert.equal(target.log.length, 0);
    } finally {
      await target.close();
    }
  }
});

test("C-038 an answer that comes before the end of the body is read, and the body goes again with a new token", async () => {
  const digest = hashBytes(LARGE);
  let isOpen = false;
  const seen: string[] = [];
  // answers when it has the head of a request, and closes, as proxies do
  const listening = createServer((socket) => {
    let text = "";
    let body = 0;
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => {
      if (body > 0) {
        body -= chunk.length;
        if (body <= 0) {
          socket.end("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\nLocation: /u\r\n\r\n");
        }
        return;
      }
      text += new TextDecoder("latin1").decode(chunk);
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      const [line = ""] = text.split("\r\n");
      const [method = "", path = ""] = line.split(" ");
      seen.push(`${method} ${/authorization: (.*)/i.exec(text)?.[1] ?? ""}`.trim());
      if (path.startsWith("/token")) {
        const token = '{"token":"t","expires_in":3600}';
        return void socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${token.length}\r\n\r\n${token}`);
      }
      const { port } = listening.address() as AddressInfo;
      if (method === "PATCH" && isOpen) {
        body = LARGE.length - (text.length - end - 4);
        text = "";
        return;
      }
      const answers: Record<string, string> = {
        HEAD: "404 Not Found\r\nContent-Length: 0",
        POST: "202 Accepted\r\nContent-Length: 0\r\nLocation: /u",
        PUT: "201 Created\r\nContent-Length: 0",
        GET: "200 OK\r\nContent-Length: 0",
      };
      isOpen ||= method === "PATCH";
      const answered = answers[method] ??
        `401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer realm="http://127.0.0.1:${port}/token"`;
      socket.end(`HTTP/1.1 ${answered}\r\nConnection: close\r\n\r\n`);
    });
  });
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const { client } = makeTestClient();
  try {
    const host = `127.0.0.1:${(listening.address() as AddressInfo).port}`;
    assert.equal(await uploadBlob(client, endpointOf(host), sourceOf(LARGE), { what: digest }), "uploaded");
    assert.deepEqual(seen.filter((word) => word.startsWith("PATCH")).slice(-1), ["PATCH Bearer t"]);
  } finally {
    client.close();
    listening.close();
  }
});

test("a source that fails ends the push with its own error, at once", async () => {
  const source: BlobSource = {
    ...sourceOf(LARGE),
    // deno-lint-ignore require-yield
    async *open() {
      await Promise.resolve();
      throw new DugoutError("DIGEST_MISMATCH", "Cannot use the blob: its content on disk has changed");
    },
  };
  const { error, waits } = await push(source);
  assert.ok(hasCode(error, "DIGEST_MISMATCH"));
  assert.equal(waits.length, 0);
});

test("A-098 a registry that takes nothing for a whole window is given up, and one that takes little by little is not", async () => {
  for (const isSlow of [true, false]) {
    const registry = makePushServer();
    // node:http reads what comes; a socket below it that pauses does not
    const inner = await startServer(registry.script);
    const relay = createServer((socket) => {
      const onward = connect(inner.port, "127.0.0.1");
      let taken = 0;
      socket.on("error", () => {});
      onward.on("error", () => {});
      onward.pipe(socket);
      socket.on("data", (chunk: Uint8Array) => {
        taken += chunk.length;
        onward.write(chunk);
        if (taken < 500_000) return;
        socket.pause();
        if (isSlow) setTimeout(() => socket.resume(), 5);
      });
      socket.on("end", () => onward.end());
      socket.on("close", () => onward.destroy());
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    const { client } = makeTestClient({}, { attempts: 1, trickle: { minBytes: 1, windowMs: isSlow ? 10_000 : 500 } });
    try {
      const endpoint = endpointOf(`127.0.0.1:${(relay.address() as AddressInfo).port}`);
      const sending = uploadBlob(client, endpoint, sourceOf(HUGE), { what: "the layer" });
      if (isSlow) assert.equal(await sending, "uploaded");
      else await assert.rejects(sending, (error) => hasCode(error, "TIMED_OUT"));
    } finally {
      client.close();
      relay.close();
      await inner.close();
    }
  }
});
