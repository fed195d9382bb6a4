import assert from "node:assert/strict";
import { test } from "node:test";
import { DugoutError } from "#oci/error.ts";
import { makeTestClient } from "./client_support.ts";
import { downloadArchive } from "./download_archive.ts";
import { answer, type Script, startServer } from "./scripted_server.ts";

const ARCHIVE = Buffer.alloc(300_000, "an archive ");

async function get(address: string, maxBytes = 1e9): Promise<Buffer> {
  const { client } = makeTestClient({ "127.0.0.1": { kind: "password", username: "me", password: "secret" } });
  try {
    const pieces: Uint8Array[] = [];
    for await (const piece of downloadArchive(client, address, { maxBytes, isInsecure: () => false })) {
      pieces.push(piece.slice());
    }
    return Buffer.concat(pieces);
  } finally {
    client.close();
  }
}

async function refusal(address: string, maxBytes?: number): Promise<string> {
  try {
    await get(address, maxBytes);
  } catch (error) {
    if (error instanceof DugoutError) return error.code;
    throw error;
  }
  throw new Error("it was not refused");
}

test("an archive comes as it is, over redirects too, and nobody's credentials go there", async () => {
  const script: Script = (request, response) => {
    if (request.url === "/old") return answer(response, 302, "", { location: "/a.tar" });
    return answer(response, 200, ARCHIVE);
  };
  const server = await startServer(script);
  for (const path of ["/a.tar", "/old"]) assert.deepEqual(await get(`${server.origin}${path}`), ARCHIVE);
  assert.ok(server.log.every(({ headers }) => headers["authorization"] === undefined));
  await server.close();
});

test("A-016 an address of another kind is refused, and so are redirects to one, and plain http to another host", async () => {
  for (const address of ["file:///etc/passwd", "ftp://h/x", "http://u:p@h/x", "http://h/a b", "unix:/x"]) {
    assert.equal(await refusal(address), "URL_REFUSED", address);
  }
  const target = await startServer((_request, response) => answer(response, 200, ARCHIVE));
  for (
    const [location, code] of [
      ["file:///etc/passwd", "URL_REFUSED"],
      ["http://other.test/x", "REDIRECT_REFUSED"],
      [`${target.origin}/x`, "REDIRECT_REFUSED"],
    ] as const
  ) {
    const server = await startServer((_request, response) => answer(response, 302, "", { location }));
    assert.equal(await refusal(`${server.origin}/a.tar`), code, location);
    await server.close();
  }
  assert.equal(target.log.length, 0);
  await target.close();
});

test("A-097 more bytes than the limit are not taken, whether the server says so before or not", async () => {
  const server = await startServer((request, response) => {
    if (request.url === "/said") return answer(response, 200, ARCHIVE);
    response.writeHead(200, { "transfer-encoding": "chunked" });
    response.end(ARCHIVE);
  });
  for (const path of ["/said", "/unsaid"]) {
    assert.equal(await refusal(`${server.origin}${path}`, 200_000), "RESPONSE_TOO_LARGE", path);
  }
  assert.deepEqual(await get(`${server.origin}/unsaid`, ARCHIVE.length), ARCHIVE);
  await server.close();
});

test("what is not there, and what is cut off, is an error; what passes is waited for", async () => {
  let asked = 0;
  const server = await startServer((request, response) => {
    if (request.url === "/none") return answer(response, 404);
    if (request.url === "/busy") return ++asked < 3 ? answer(response, 503) : answer(response, 200, ARCHIVE);
    response.writeHead(200, { "content-length": String(ARCHIVE.length) });
    response.write(ARCHIVE.subarray(0, 1000), () => response.destroy());
  });
  assert.equal(await refusal(`${server.origin}/none`), "NOT_FOUND");
  assert.deepEqual(await get(`${server.origin}/busy`), ARCHIVE);
  assert.equal(await refusal(`${server.origin}/cut`), "CONNECTION_FAILED");
  await server.close();
});
