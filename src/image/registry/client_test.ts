import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDigest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { endpointOf, makeSink, makeTestClient } from "./client_support.ts";
import { downloadBlob, fetchSmallBlob } from "./blob_request.ts";
import { basicAuthorization, type Credentials } from "./credentials.ts";
import { RegistryError } from "./error.ts";
import { fetchManifest } from "./manifest_request.ts";
import { answer, answerJson, answerRange, makeImage, type Script, serveImage, startServer } from "./scripted_server.ts";
import {
  AUTHORITY,
  EXPIRED_CERT,
  EXPIRED_KEY,
  GOOD_CERT,
  GOOD_KEY,
  OTHER_NAME_CERT,
  OTHER_NAME_KEY,
} from "./test_certificates.ts";

const IMAGE = makeImage([Buffer.alloc(100_000, "layer one "), Buffer.alloc(50_000, "layer two ")]);
const LAYER = {
  mediaType: "application/vnd.oci.image.layer.v1.tar",
  digest: parseDigest([...IMAGE.blobs.keys()][1] ?? ""),
  size: 100_000,
};
const PASSWORD: Credentials = { kind: "password", username: "me", password: "secret" };

/** The error of a promise that must fail. */
async function failure(promise: Promise<unknown>): Promise<DugoutError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof DugoutError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

/** Wraps a script in token authentication: `GET /token` with Basic gives the tokens in turn, the last one for ever. */
function withTokens(
  inner: Script,
  tokens: string[],
  accepted: () => string,
  realm: () => string,
  expiresIn?: number,
): Script {
  let given = 0;
  return (request, response) => {
    if (request.url.startsWith("/token")) {
      const token = tokens[Math.min(given++, tokens.length - 1)];
      return answerJson(response, 200, {
        token,
        ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
        issued_at: "2001-01-01T00:00:00Z",
      });
    }
    if (request.headers["authorization"] === `Bearer ${accepted()}`) return inner(request, response);
    answerJson(response, 401, { errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] }, {
      "www-authenticate": `Bearer realm="${realm()}",service="the service",scope="repository:some/image:pull"`,
    });
  };
}

test("a manifest and a blob come from a plain registry on the loopback without any setting, over one connection", async () => {
  await using server = Object.assign(await startServer(serveImage(IMAGE)), {
    [Symbol.asyncDispose]: () => server.close(),
  });
  const { client } = makeTestClient();
  const endpoint = endpointOf(server.host);
  const fetched = await fetchManifest(client, endpoint, { tag: "latest" }, "the manifest");
  assert.equal(fetched.digest, IMAGE.digest);
  const sink = makeSink();
  await downloadBlob(client, endpoint, LAYER, sink, "the layer");
  assert.deepEqual(sink.bytes(), new Uint8Array(IMAGE.layers[0] ?? []));
  assert.deepEqual(server.log.map(({ url }) => url), [
    "/v2/",
    "/v2/some/image/manifests/latest",
    `/v2/some/image/blobs/${LAYER.digest}`,
  ]);
  assert.ok(server.log.every(({ headers }) => headers["authorization"] === undefined));
  client.close();
});

test("C-035 a connection that is cut in the middle of a blob goes on with Range from what has come", async () => {
  let requests = 0;
  const server = await startServer((request, response) => {
    if (!request.url.includes("/blobs/")) return serveImage(IMAGE)(request, response);
    const bytes = IMAGE.layers[0] ?? new Uint8Array(0);
    const start = Number(/bytes=(\d+)-/.exec(request.headers["range"] ?? "")?.[1] ?? 0);
    if (++requests <= 3) {
      const part = bytes.subarray(start);
      response.writeHead(start === 0 ? 200 : 206, {
        "content-length": String(part.length),
        "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      });
      response.write(part.subarray(0, 20_000), () => response.destroy());
      return;
    }
    answerRange(request, response, bytes);
  });
  const { client } = makeTestClient();
  const sink = makeSink();
  await downloadBlob(client, endpointOf(server.host), LAYER, sink, "the layer");
  assert.deepEqual(sink.bytes(), new Uint8Array(IMAGE.layers[0] ?? []));
  const ranges = server.log.filter(({ url }) => url.includes("/blobs/")).map(({ headers }) => headers["range"]);
  assert.equal(ranges[0], undefined);
  assert.equal(ranges.length, 4);
  for (const range of ranges.slice(1)) assert.match(range ?? "", /^bytes=[1-9]\d*-$/);
  client.close();
  await server.close();
});

test("C-035 a partial answer from another offset is refused, nothing of it is written", async () => {
  for (
    const contentRange of [
      "bytes 0-99999/100000",
      "bytes 50001-99999/100000",
      "bytes 50000-99999/200000",
      "nonsense",
      "",
    ]
  ) {
    const server = await startServer((request, response) => {
      if (!request.url.includes("/blobs/")) return answer(response, 200);
      answer(response, 206, (IMAGE.layers[0] ?? new Uint8Array(0)).subarray(50_000), { "content-range": contentRange });
    });
    const { client } = makeTestClient();
    const sink = makeSink((IMAGE.layers[0] ?? new Uint8Array(0)).subarray(0, 50_000));
    const error = await failure(downloadBlob(client, endpointOf(server.host), LAYER, sink, "the layer"));
    assert.ok(["RESPONSE_INVALID", "SIZE_MISMATCH"].includes(error.code), `${contentRange}: ${error.code}`);
    assert.equal(sink.offset, 50_000);
    client.close();
    await server.close();
  }
});

test("C-035 a server that ignores Range sends all, and what is there already is skipped", async () => {
  const server = await startServer((request, response) =>
    request.url.includes("/blobs/") ? answer(response, 200, IMAGE.layers[0] ?? "") : answer(response, 200)
  );
  const { client } = makeTestClient();
  const sink = makeSink((IMAGE.layers[0] ?? new Uint8Array(0)).subarray(0, 70_001));
  await downloadBlob(client, endpointOf(server.host), LAYER, sink, "the layer");
  assert.deepEqual(sink.bytes(), new Uint8Array(IMAGE.layers[0] ?? []));
  client.close();
  await server.close();
});

test("C-036 429 with Retry-After twice: waits as told, then goes on", async () => {
  let requests = 0;
  const server = await startServer((request, response) => {
    if (request.url.includes("/manifests/") && ++requests <= 2) {
      const when = requests === 1 ? "2" : new Date(Date.now() + 5000).toUTCString();
      return answerJson(response, 429, { errors: [{ code: "TOOMANYREQUESTS", message: "slow down" }] }, {
        "retry-after": when,
      });
    }
    return serveImage(IMAGE)(request, response);
  });
  const { client, waits, notices } = makeTestClient();
  await fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest");
  assert.equal(waits[0], 2000);
  assert.ok((waits[1] ?? 0) > 2000 && (waits[1] ?? 0) <= 5000, String(waits[1]));
  assert.match(notices[0] ?? "", /slow down.*trying again in 2 s/);
  client.close();
  await server.close();
});

test("C-036 429 without end: gives up with the registry's own words", async () => {
  const server = await startServer((request, response) => {
    if (request.url === "/v2/") return answer(response, 200);
    answerJson(response, 429, { errors: [{ code: "TOOMANYREQUESTS", message: "pull rate limit of \u001b[31mme" }] }, {
      "retry-after": "100000",
    });
  });
  const { client, waits } = makeTestClient();
  const error = await failure(fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest"));
  assert.equal(error.code, "TOO_MANY_REQUESTS");
  assert.match(error.message, /TOOMANYREQUESTS: pull rate limit of \\x1b\[31mme/);
  assert.deepEqual(waits, Array(5).fill(60_000));
  client.close();
  await server.close();
});

test("C-037 500, 502, 503, 504 and a closed connection are repeated with growing waits; 400, 403 and 404 never", async () => {
  const statuses = [502, 0, 500, 503, 504];
  let at = 0;
  const server = await startServer((request, response) => {
    const status = request.url.includes("/manifests/") ? statuses[at++] : undefined;
    if (status === 0) return void response.destroy();
    if (status !== undefined) {
      return answer(response, status, "<html>bad gateway</html>", { "content-type": "text/html" });
    }
    return serveImage(IMAGE)(request, response);
  });
  const { client, waits } = makeTestClient();
  await fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest");
  // the closed one was a kept connection: that may be a server's time-out, and is repeated at once on a new one
  assert.deepEqual(waits, [500, 1000, 2000, 4000]);
  for (const status of [400, 403, 404]) {
    const refusing = await startServer((request, response) =>
      answer(response, request.url === "/v2/" ? 200 : status, "no")
    );
    waits.length = 0;
    const error = await failure(fetchManifest(client, endpointOf(refusing.host), { tag: "latest" }, "the manifest"));
    assert.ok(error instanceof RegistryError && error.status === status);
    assert.deepEqual(waits, []);
    assert.equal(refusing.log.filter(({ url }) => url.includes("/manifests/")).length, 1);
    await refusing.close();
  }
  client.close();
  await server.close();
});

test("C-037 a port where nothing listens is tried a few times, then named", async () => {
  const server = await startServer(() => {});
  await server.close();
  const { client, waits } = makeTestClient();
  const error = await failure(fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest"));
  assert.equal(error.code, "CONNECTION_FAILED");
  assert.match(error.message, /nothing listens there/);
  assert.equal(waits.length, 2);
  client.close();
});

test("C-038 a token that dies is replaced at any request, once, and the request repeated", async () => {
  let accepted = "one";
  const server: Awaited<ReturnType<typeof startServer>> = await startServer(
    withTokens(serveImage(IMAGE), ["one", "two"], () => accepted, () => `${server.origin}/token`, 3600),
  );
  const { client } = makeTestClient({ [server.host]: PASSWORD });
  const endpoint = endpointOf(server.host);
  await fetchManifest(client, endpoint, { tag: "latest" }, "the manifest");
  accepted = "two";
  const sinks = [makeSink(), makeSink(), makeSink()];
  await Promise.all(sinks.map((sink) => downloadBlob(client, endpoint, LAYER, sink, "the layer")));
  const tokenRequests = server.log.filter(({ url }) => url.startsWith("/token"));
  assert.equal(tokenRequests.length, 2);
  assert.equal(tokenRequests[0]?.headers["authorization"], basicAuthorization("me", "secret"));
  assert.equal(tokenRequests[0]?.url, "/token?service=the+service&scope=repository%3Asome%2Fimage%3Apull&account=me");
  accepted = "three";
  const error = await failure(downloadBlob(client, endpoint, LAYER, makeSink(), "the layer"));
  assert.equal(error.code, "UNAUTHORIZED");
  assert.match(error.hint ?? "", /dugout login 127\.0\.0\.1/);
  client.close();
  await server.close();
});

test("a registry that is known to want tokens is asked with one at once, for the repository in question", async () => {
  const server: Awaited<ReturnType<typeof startServer>> = await startServer((request, response) => {
    const scope = new URL(request.url, "http://h").searchParams.get("scope") ?? "";
    if (request.url.startsWith("/token")) {
      return answerJson(response, 200, { token: scope.split(":")[1]?.replace("/", "-") });
    }
    const repository = /^\/v2\/(.*)\/manifests/.exec(request.url)?.[1] ?? "";
    if (request.headers["authorization"] === `Bearer ${repository.replace("/", "-")}`) {
      return serveImage(IMAGE)(request, response);
    }
    answer(response, 401, "", {
      "www-authenticate": `Bearer realm="${server.origin}/token",scope="repository:${repository}:pull"`,
    });
  });
  const { client } = makeTestClient();
  for (const repository of ["a/b", "c/d"]) {
    await fetchManifest(client, endpointOf(server.host, repository), { tag: "1" }, "the manifest");
  }
  assert.deepEqual(server.log.map(({ url }) => url.split("?")[0]), [
    "/v2/",
    "/v2/a/b/manifests/1",
    "/token",
    "/v2/a/b/manifests/1",
    "/token",
    "/v2/c/d/manifests/1",
  ]);
  client.close();
  await server.close();
});

test("C-131 the life of a token is counted from when it came, not from issued_at", async () => {
  const server: Awaited<ReturnType<typeof startServer>> = await startServer(
    withTokens(serveImage(IMAGE), ["one"], () => "one", () => `${server.origin}/token`, 300),
  );
  const { client } = makeTestClient();
  for (let round = 0; round < 3; round++) {
    await fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest");
  }
  assert.equal(server.log.filter(({ url }) => url.startsWith("/token")).length, 1);
  client.close();
  await server.close();
});

test("C-039 a redirect to another port gets no Authorization, one to the same origin keeps it", async () => {
  const storage = await startServer((request, response) =>
    answerRange(request, response, IMAGE.layers[0] ?? new Uint8Array(0))
  );
  const server = await startServer((request, response) => {
    if (request.url.includes("/blobs/")) return answer(response, 307, "", { location: "/moved" });
    if (request.url === "/moved") {
      return answer(response, 302, "", { location: `${storage.origin}/blob?signature=abc` });
    }
    if (request.headers["authorization"] === undefined) {
      return answer(response, 401, "", { "www-authenticate": 'Basic realm="x"' });
    }
    return serveImage(IMAGE)(request, response);
  });
  const { client } = makeTestClient({ [server.host]: PASSWORD });
  const endpoint = endpointOf(server.host);
  await fetchManifest(client, endpoint, { tag: "latest" }, "the manifest");
  const sink = makeSink((IMAGE.layers[0] ?? new Uint8Array(0)).subarray(0, 10));
  await downloadBlob(client, endpoint, LAYER, sink, "the layer");
  assert.deepEqual(sink.bytes(), new Uint8Array(IMAGE.layers[0] ?? []));
  assert.equal(
    server.log.find(({ url }) => url === "/moved")?.headers["authorization"],
    basicAuthorization("me", "secret"),
  );
  assert.equal(storage.log.length, 1);
  assert.equal(storage.log[0]?.headers["authorization"], undefined);
  assert.equal(storage.log[0]?.headers["range"], "bytes=10-");
  assert.equal(storage.log[0]?.url, "/blob?signature=abc");
  client.close();
  await Promise.all([server.close(), storage.close()]);
});

test("A-017 a chain of redirects that comes back does not get Authorization again, and eleven are too many", async () => {
  const far = await startServer((_request, response) =>
    answer(response, 307, "", { location: `${server.origin}/back` })
  );
  const server = await startServer((request, response) => {
    if (request.url.includes("/manifests/loop")) return answer(response, 307, "", { location: request.url });
    if (request.url.includes("/manifests/")) return answer(response, 307, "", { location: `${far.origin}/x` });
    if (request.url === "/back") return answer(response, 404);
    if (request.headers["authorization"] === undefined) {
      return answer(response, 401, "", { "www-authenticate": 'Basic realm="x"' });
    }
    answer(response, 200);
  });
  const { client } = makeTestClient({ [server.host]: PASSWORD });
  await failure(fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest"));
  assert.equal(server.log.find(({ url }) => url === "/back")?.headers["authorization"], undefined);
  const error = await failure(fetchManifest(client, endpointOf(server.host), { tag: "loop" }, "the manifest"));
  assert.equal(error.code, "REDIRECT_REFUSED");
  assert.equal(server.log.filter(({ url }) => url.endsWith("/loop")).length, 11);
  client.close();
  await Promise.all([server.close(), far.close()]);
});

test("A-016 redirects to files, data, and other schemes are refused", async () => {
  for (
    const location of [
      "file:///etc/hostname",
      "data:,x",
      "ftp://127.0.0.1/x",
      "http://user:pass@127.0.0.1/",
      "https://127.0.0.1:99999/",
    ]
  ) {
    const server = await startServer((request, response) =>
      request.url === "/v2/" ? answer(response, 200) : answer(response, 307, "", { location })
    );
    const { client } = makeTestClient();
    const error = await failure(fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest"));
    assert.equal(error.code, "URL_REFUSED", location);
    client.close();
    await server.close();
  }
});

test("A-017 https never goes down to http, and a host of the network does not lead to our loopback", async () => {
  const plain = await startServer((_request, response) => answer(response, 200, IMAGE.manifest));
  for (
    const location of [
      `http://reg.test:${plain.port}/x`,
      `http://127.0.0.1:${plain.port}/x`,
      `https://127.0.0.1:${plain.port}/x`,
    ]
  ) {
    const server = await startServer((_request, response) => answer(response, 307, "", { location }), {
      cert: GOOD_CERT,
      key: GOOD_KEY,
    });
    const { client } = makeTestClient({}, { tlsFiles: () => ({ authorities: [AUTHORITY] }) });
    const error = await failure(
      fetchManifest(client, endpointOf(`reg.test:${server.port}`), { tag: "latest" }, "the manifest"),
    );
    assert.equal(error.code, "REDIRECT_REFUSED", location);
    client.close();
    await server.close();
  }
  assert.equal(plain.log.length, 0);
  await plain.close();
});

test("A-015 a token server of another site gets no credentials, and one line says so", async () => {
  const evil = await startServer((_request, response) => answerJson(response, 200, { token: "anonymous" }));
  const server = await startServer(
    withTokens(serveImage(IMAGE), [], () => "anonymous", () => `http://localhost:${evil.port}/token`),
  );
  const { client, notices } = makeTestClient({ [server.host]: PASSWORD });
  await fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest");
  assert.equal(evil.log.length, 1);
  assert.equal(evil.log[0]?.headers["authorization"], undefined);
  assert.ok(!evil.log[0]?.url.includes("account"));
  assert.equal(notices.length, 1);
  assert.match(notices[0] ?? "", /without your credentials/);
  client.close();
  await Promise.all([server.close(), evil.close()]);
});

test("A-015 quotes and newlines in service and scope stay values", async () => {
  const server: Awaited<ReturnType<typeof startServer>> = await startServer((request, response) => {
    if (request.url.startsWith("/token")) return answerJson(response, 200, { access_token: "t" });
    if (request.headers["authorization"] === "Bearer t") return serveImage(IMAGE)(request, response);
    answer(response, 401, "", {
      "www-authenticate": `Bearer realm="${server.origin}/token",service="a\\"b&c=d",scope="x\\\ty"`,
    });
  });
  const { client } = makeTestClient();
  await fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest");
  const asked = new URL(server.log.find(({ url }) => url.startsWith("/token"))?.url ?? "", server.origin);
  assert.equal(asked.searchParams.get("service"), 'a"b&c=d');
  assert.equal(asked.searchParams.get("c"), null);
  client.close();
  await server.close();
});

test("C-042 an identity token is exchanged by POST as a refresh token", async () => {
  const server: Awaited<ReturnType<typeof startServer>> = await startServer(
    withTokens(serveImage(IMAGE), ["access"], () => "access", () => `${server.origin}/token`),
  );
  const { client } = makeTestClient({
    [server.host]: { kind: "identity", username: "me", identityToken: "refresh me" },
  });
  await fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest");
  const asked = server.log.find(({ url }) => url.startsWith("/token"));
  assert.equal(asked?.method, "POST");
  assert.equal(asked?.headers["authorization"], undefined);
  const form = new URLSearchParams(asked?.body);
  assert.deepEqual([form.get("grant_type"), form.get("refresh_token"), form.get("service"), form.get("scope")], [
    "refresh_token",
    "refresh me",
    "the service",
    "repository:some/image:pull",
  ]);
  client.close();
  await server.close();
});

test("A-018 a host of the network without TLS is refused and never asked without it; insecure opens that host alone", async () => {
  const server = await startServer(serveImage(IMAGE));
  const host = `reg.test:${server.port}`;
  const { client } = makeTestClient();
  const error = await failure(fetchManifest(client, endpointOf(host), { tag: "latest" }, "the manifest"));
  assert.equal(error.code, "TLS_REQUIRED");
  assert.match(error.hint ?? "", /insecure = true/);
  assert.equal(server.log.length, 0);
  const fetched = await fetchManifest(
    client,
    endpointOf(host, "some/image", { isInsecure: true }),
    { tag: "latest" },
    "the manifest",
  );
  assert.equal(fetched.digest, IMAGE.digest);
  client.close();
  await server.close();
});

test("A-018 the leniency for a registry is not inherited by its token server or its blob store", async () => {
  const other = await startServer((_request, response) => answerJson(response, 200, { token: "t" }));
  const server = await startServer((request, response) => {
    if (request.url.includes("/blobs/")) {
      return answer(response, 307, "", { location: `http://other.test:${other.port}/blob` });
    }
    answer(response, 401, "", {
      "www-authenticate": `Bearer realm="http://auth.reg.test:${other.port}/token",service="s"`,
    });
  });
  const { client } = makeTestClient({ [`reg.test:${server.port}`]: PASSWORD });
  const endpoint = endpointOf(`reg.test:${server.port}`, "some/image", { isInsecure: true });
  const tokenError = await failure(fetchManifest(client, endpoint, { tag: "latest" }, "the manifest"));
  assert.equal(tokenError.code, "TLS_REQUIRED");
  const fresh = makeTestClient().client;
  const blobError = await failure(downloadBlob(fresh, endpoint, LAYER, makeSink(), "the layer"));
  fresh.close();
  assert.equal(blobError.code, "REDIRECT_REFUSED");
  assert.equal(other.log.length, 0);
  client.close();
  await Promise.all([server.close(), other.close()]);
});

test("C-131 A-018 an expired certificate is refused with its dates and this machine's time", async () => {
  const server = await startServer(serveImage(IMAGE), { cert: EXPIRED_CERT, key: EXPIRED_KEY });
  const { client, waits } = makeTestClient({}, { tlsFiles: () => ({ authorities: [AUTHORITY] }) });
  const error = await failure(
    fetchManifest(client, endpointOf(`reg.test:${server.port}`), { tag: "latest" }, "the manifest"),
  );
  assert.equal(error.code, "TLS_FAILED");
  assert.match(error.message, /valid from Jan {1,2}1 00:00:00 2010 GMT to Jan {1,2}1 00:00:00 2011 GMT/);
  assert.match(error.message, /this machine's time is \w{3}, \d\d \w{3} \d{4}/);
  assert.deepEqual(waits, []);
  assert.equal(server.log.length, 0);
  client.close();
  await server.close();
});

test("A-018 self-signed and wrong-name certificates are refused, a right one is taken, an insecure host may have any", async () => {
  const good = await startServer(serveImage(IMAGE), { cert: GOOD_CERT, key: GOOD_KEY });
  const wrong = await startServer(serveImage(IMAGE), { cert: OTHER_NAME_CERT, key: OTHER_NAME_KEY });
  const trusting = makeTestClient({}, { tlsFiles: () => ({ authorities: [AUTHORITY] }) }).client;
  const strange = makeTestClient().client;
  const fetch = (client: typeof strange, host: string, isInsecure = false) =>
    fetchManifest(client, endpointOf(host, "some/image", { isInsecure }), { tag: "latest" }, "the manifest");
  assert.equal((await fetch(trusting, `reg.test:${good.port}`)).digest, IMAGE.digest);
  assert.equal((await fetch(trusting, `127.0.0.1:${good.port}`)).digest, IMAGE.digest);
  assert.equal((await failure(fetch(strange, `reg.test:${good.port}`))).code, "TLS_FAILED");
  assert.equal((await failure(fetch(trusting, `reg.test:${wrong.port}`))).code, "TLS_FAILED");
  assert.equal((await failure(fetch(trusting, `127.0.0.1:${wrong.port}`))).code, "TLS_FAILED");
  assert.equal((await fetch(strange, `reg.test:${wrong.port}`, true)).digest, IMAGE.digest);
  // the connection whose certificate was not checked is not used for one that must be
  assert.equal((await failure(fetch(strange, `reg.test:${wrong.port}`))).code, "TLS_FAILED");
  assert.equal(wrong.log.length, 2);
  trusting.close();
  strange.close();
  await Promise.all([good.close(), wrong.close()]);
});

test("authorities come as a bundle of many in one text, as distributions have them", async () => {
  const { rootCertificates } = await import("node:tls");
  const server = await startServer(serveImage(IMAGE), { cert: GOOD_CERT, key: GOOD_KEY });
  const bundle = [...rootCertificates.slice(0, 20), AUTHORITY, ...rootCertificates.slice(20, 40)].join("\n");
  const { client } = makeTestClient({}, { tlsFiles: () => ({ authorities: [bundle] }) });
  const fetched = await fetchManifest(client, endpointOf(`reg.test:${server.port}`), { tag: "latest" }, "the manifest");
  assert.equal(fetched.digest, IMAGE.digest);
  client.close();
  await server.close();
});

test("requests to hosts of the network go through the proxy, https in a tunnel", async () => {
  const { createServer } = await import("node:http");
  const { connect } = await import("node:net");
  const secure = await startServer(serveImage(IMAGE), { cert: GOOD_CERT, key: GOOD_KEY });
  const seen: string[] = [];
  const proxy = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers["proxy-authorization"] ?? ""}`);
    response.end("{}");
  });
  proxy.on("connect", (request, socket) => {
    seen.push(`CONNECT ${request.url} ${request.headers["proxy-authorization"] ?? ""}`);
    const upstream = connect(secure.port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      upstream.pipe(socket);
      socket.pipe(upstream);
    });
    upstream.on("error", () => socket.destroy());
    socket.on("error", () => upstream.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const address = proxy.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const env = { HTTPS_PROXY: `http://u:p@127.0.0.1:${port}`, HTTP_PROXY: `http://127.0.0.1:${port}` };
  const { client } = makeTestClient({}, { env, tlsFiles: () => ({ authorities: [AUTHORITY] }) });
  assert.equal(
    (await fetchManifest(client, endpointOf("reg.test"), { tag: "latest" }, "the manifest")).digest,
    IMAGE.digest,
  );
  assert.deepEqual(seen, [`CONNECT reg.test:443 ${basicAuthorization("u", "p")}`]);
  const plainAnswer = await client.sendOnce(
    { method: "GET", url: new URL("http://plain.test:81/x?y") },
    endpointOf("plain.test:81", "", { isInsecure: true }),
  );
  assert.equal(plainAnswer.status, 200);
  assert.equal(seen[1], "GET http://plain.test:81/x?y ");
  client.close();
  proxy.closeAllConnections();
  await new Promise<void>((resolve) => proxy.close(() => resolve()));
  await secure.close();
});

test("A-014 a digest of the registry that is a path is refused, and no request is made for it", async () => {
  const server = await startServer((request, response) => {
    if (request.url === "/v2/") return answer(response, 200);
    answer(response, 200, IMAGE.manifest, { "docker-content-digest": "sha256:../../../canary" });
  });
  const { client } = makeTestClient();
  const error = await failure(fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest"));
  assert.equal(error.code, "DIGEST_INVALID");
  assert.equal(server.log.length, 2);
  client.close();
  await server.close();
});

test("A-022 a digest in the name is checked against whatever answered", async () => {
  const other = makeImage([Buffer.from("other")]);
  const server = await startServer((request, response) =>
    request.url === "/v2/" ? answer(response, 200) : answer(response, 200, other.manifest)
  );
  const { client } = makeTestClient();
  const error = await failure(
    fetchManifest(client, endpointOf(server.host), { digest: parseDigest(IMAGE.digest) }, "the manifest"),
  );
  assert.equal(error.code, "DIGEST_MISMATCH");
  client.close();
  await server.close();
});

test("A-098 endless manifests, other sizes and more bytes than said are refused", async () => {
  const server = await startServer((request, response) => {
    if (request.url === "/v2/") return answer(response, 200);
    if (request.url.endsWith("/manifests/endless")) {
      response.writeHead(200);
      const feed = () => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
        if (!response.destroyed) response.once("drain", feed);
      };
      return feed();
    }
    if (request.url.endsWith("/manifests/large")) return answer(response, 200, "x".repeat(5 << 20));
    if (request.url.includes("/blobs/")) {
      response.writeHead(200);
      response.end(Buffer.alloc(200_000));
    }
  });
  const { client } = makeTestClient();
  const endpoint = endpointOf(server.host);
  assert.equal(
    (await failure(fetchManifest(client, endpoint, { tag: "endless" }, "the manifest"))).code,
    "RESPONSE_TOO_LARGE",
  );
  const large = await failure(fetchManifest(client, endpoint, { tag: "large" }, "the manifest"));
  assert.equal(large.code, "RESPONSE_TOO_LARGE");
  assert.match(large.message, /5242880 .* 4194304/);
  const sink = makeSink();
  assert.equal((await failure(downloadBlob(client, endpoint, LAYER, sink, "the layer"))).code, "SIZE_MISMATCH");
  assert.ok(sink.offset <= LAYER.size);
  assert.equal(
    (await failure(fetchSmallBlob(client, endpoint, { ...LAYER, size: 10 ** 15 }, 1000, "the config"))).code,
    "RESPONSE_TOO_LARGE",
  );
  client.close();
  await server.close();
});

test("A-098 an answer that trickles is cut", async () => {
  const timers = new Set<ReturnType<typeof setInterval>>();
  const server = await startServer((request, response) => {
    if (request.url === "/v2/") return answer(response, 200);
    response.writeHead(200, { "content-length": "1000" });
    const timer = setInterval(() => response.write("x"), 20);
    timers.add(timer);
    response.on("close", () => clearInterval(timer));
  });
  const { client } = makeTestClient({}, { trickle: { minBytes: 1000, windowMs: 200 }, attempts: 2 });
  const error = await failure(fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest"));
  assert.equal(error.code, "TIMED_OUT");
  assert.match(error.message, /\d+ bytes in/);
  for (const timer of timers) clearInterval(timer);
  client.close();
  await server.close();
});

test("what the sink throws ends the download at once, as it is: it is not a fault of the network", async () => {
  const server = await startServer(serveImage(IMAGE));
  const { client, waits } = makeTestClient();
  const full = new DugoutError("ENOSPC", "the disk is full");
  const sink = {
    offset: 0,
    write: () => {
      throw full;
    },
  };
  assert.equal(await failure(downloadBlob(client, endpointOf(server.host), LAYER, sink, "the layer")), full);
  assert.deepEqual(waits, []);
  assert.equal(server.log.filter(({ url }) => url.includes("/blobs/")).length, 1);
  client.close();
  await server.close();
});

test("an abort ends a request under way, also one that waits", async () => {
  const server = await startServer((request, response) => {
    if (request.url === "/v2/") answer(response, 200);
  });
  const { client } = makeTestClient();
  const controller = new AbortController();
  const pending = failure(
    fetchManifest(client, endpointOf(server.host), { tag: "latest" }, "the manifest", controller.signal),
  );
  setTimeout(() => controller.abort(), 50);
  assert.equal((await pending).code, "ABORTED");
  client.close();
  await server.close();
});

test("A-084 neither passwords nor tokens nor signatures are in errors", async () => {
  const storage = await startServer((_request, response) => answer(response, 403, "denied"));
  const server: Awaited<ReturnType<typeof startServer>> = await startServer(withTokens(
    (request, response) =>
      request.url === "/v2/"
        ? answer(response, 200)
        : answer(response, 307, "", { location: `${storage.origin}/b?signature=TOPSECRET` }),
    ["TOPSECRET"],
    () => "TOPSECRET",
    () => `${server.origin}/token`,
  ));
  const { client } = makeTestClient({ [server.host]: { kind: "password", username: "me", password: "TOPSECRET" } });
  const error = await failure(downloadBlob(client, endpointOf(server.host), LAYER, makeSink(), "the layer"));
  assert.ok(error instanceof RegistryError);
  assert.ok(
    !JSON.stringify({ ...error, message: error.message, hint: error.hint, stack: error.stack }).includes("TOPSECRET"),
  );
  assert.equal(error.url, `${storage.origin}/b?…`);
  client.close();
  await Promise.all([server.close(), storage.close()]);
});
