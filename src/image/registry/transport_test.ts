import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { seededRandom } from "../../../tests/support/random.ts";
import { RegistryError } from "./error.ts";
import { discardBody, readBody, Transport } from "./transport.ts";

interface RawServer {
  url: URL;
  connections: () => number;
  close: () => Promise<void>;
}

/** A server that answers each request with these bytes, whatever was asked. */
async function startRaw(answer: (request: number, socket: Socket) => string | undefined): Promise<RawServer> {
  let [connections, requests] = [0, 0];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      for (let left = chunk.toString("latin1").split("\r\n\r\n").length - 1; left > 0; left--) {
        const text = answer(requests++, socket);
        if (text !== undefined) socket.write(text, "latin1");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}/`),
    connections: () => connections,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

const makeTransport = () =>
  new Transport({ env: {}, tlsFiles: () => ({}), trickle: { minBytes: 1000, windowMs: 300 } });

async function bodyOf(text: string, closes = false): Promise<string> {
  const server = await startRaw((_request, socket) => {
    if (closes) {
      socket.end(text, "latin1");
      return undefined;
    }
    return text;
  });
  const transport = makeTransport();
  try {
    const response = await transport.send({ method: "GET", url: server.url });
    return `${response.status} ${Buffer.from(await readBody(response, 10_000, "the answer")).toString("latin1")}`;
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  } finally {
    transport.close();
    await server.close();
  }
}

test("bodies by length, by chunks with extensions and trailers, and until the end of the connection", async () => {
  assert.equal(await bodyOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), "200 hello");
  assert.equal(
    await bodyOf(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n",
    ),
    "200 hello",
  );
  assert.equal(await bodyOf("HTTP/1.0 200 OK\r\n\r\nhello", true), "200 hello");
  assert.equal(
    await bodyOf(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
    ),
    "201 ok",
  );
  assert.equal(await bodyOf("HTTP/1.1 204 No Content\r\n\r\n"), "204 ");
});

test("what is cut, lies about its size or is no HTTP is an error with a code", async () => {
  assert.equal(await bodyOf("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", true), "CONNECTION_FAILED");
  assert.equal(
    await bodyOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", true),
    "CONNECTION_FAILED",
  );
  assert.equal(
    await bodyOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n"),
    "RESPONSE_INVALID",
  );
  assert.equal(await bodyOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "RESPONSE_INVALID");
  assert.equal(await bodyOf("SSH-2.0-OpenSSH\r\n\r\n"), "RESPONSE_INVALID");
  assert.equal(await bodyOf("", true), "CONNECTION_FAILED");
  assert.equal(await bodyOf("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n"), "RESPONSE_TOO_LARGE");
  assert.equal(
    await bodyOf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"),
    "RESPONSE_INVALID",
  );
  assert.equal(await bodyOf("HTTP/1.1 100 Continue\r\n\r\n".repeat(20)), "RESPONSE_INVALID");
  assert.equal(await bodyOf("HTTP/1.1 200 OK\r\nA: " + "x".repeat(100_000)), "RESPONSE_INVALID");
  assert.equal(await bodyOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"), "TIMED_OUT");
});

test("a connection is used again, unless something came on it that nobody asked for", async () => {
  const use = async (extra: string): Promise<number> => {
    const server = await startRaw(() => `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello${extra}`);
    const transport = makeTransport();
    for (let round = 0; round < 3; round++) {
      const response = await transport.send({ method: "GET", url: server.url });
      assert.equal(Buffer.from(await readBody(response, 100, "it")).toString(), "hello");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    transport.close();
    await server.close();
    return server.connections();
  };
  assert.equal(await use(""), 1);
  assert.equal(await use("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), 3);
});

test("a kept connection that the server has closed is replaced without an error", async () => {
  const server = await startRaw((_request, socket) => {
    setTimeout(() => socket.destroy(), 5);
    return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  });
  const transport = makeTransport();
  for (let round = 0; round < 5; round++) {
    const response = await transport.send({ method: "GET", url: server.url });
    await readBody(response, 100, "it");
    await new Promise((resolve) => setTimeout(resolve, round * 3));
  }
  transport.close();
  await server.close();
});

test("bodies that nobody wants are dropped: short ones keep the connection, long ones end it", async () => {
  for (const [length, connections] of [[100, 1], [1_000_000, 2]] as const) {
    const server = await startRaw(() =>
      `HTTP/1.1 404 Not Found\r\nContent-Length: ${length}\r\n\r\n${"x".repeat(length)}`
    );
    const transport = makeTransport();
    for (let round = 0; round < 2; round++) await discardBody(await transport.send({ method: "GET", url: server.url }));
    assert.equal(server.connections(), connections);
    transport.close();
    await server.close();
  }
});

test("whatever a server sends, there is an answer or our own error", async () => {
  const seed = 11;
  const random = seededRandom(seed).fraction;
  const valid = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  let text = "";
  const server = await startRaw((_request, socket) => void socket.end(text, "latin1"));
  for (let round = 0; round < 300; round++) {
    const characters = [...valid];
    for (let edits = Math.floor(random() * 4); edits >= 0; edits--) {
      const at = Math.floor(random() * characters.length);
      const choice = random();
      if (choice < 0.4) characters[at] = String.fromCharCode(Math.floor(random() * 256));
      else if (choice < 0.7) characters.splice(at, 1 + Math.floor(random() * 5));
      else characters.splice(at, 0, characters.slice(0, at).join(""));
    }
    text = characters.join("");
    const transport = makeTransport();
    try {
      await readBody(await transport.send({ method: "GET", url: server.url }), 10_000, "the answer");
    } catch (error) {
      if (!(error instanceof RegistryError)) {
        throw new Error(`seed ${seed}, round ${round}: ${JSON.stringify(text)}`, { cause: error });
      }
    } finally {
      transport.close();
    }
  }
  await server.close();
});
