/** The stack's name server, with resolvers of the host made up: on the addresses of stubs, dead, silent, and changed meanwhile. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { needs } from "./harness.ts";
import { type Bed, GATEWAY_IPV4, makeBed, startStack } from "./support/network_bed.ts";

const BINARY = process.env["DUGOUT_TEST_BINARY"];
const skip = BINARY === undefined || process.getuid?.() !== 0
  ? "needs the binary, and root for a server at port 53"
  : needs("busybox");

/** Names that the made-up resolvers know: all of type A. */
const KNOWN = new Map([["www.example.org", [192, 0, 2, 1]], ["intranet.corp.example", [192, 0, 2, 2]]]);

/** The answer to a query of one question: an address for names that are known, an empty answer for their other types. */
function answer(query: Uint8Array, isCut: boolean): Uint8Array {
  const labels: string[] = [];
  let at = 12;
  for (; query[at] !== 0; at += 1 + query[at]!) {
    labels.push(new TextDecoder().decode(query.subarray(at + 1, at + 1 + query[at]!)));
  }
  const address = KNOWN.get(labels.join(".").toLowerCase());
  const question = query.subarray(12, at + 5);
  const isA = query[at + 2] === 1;
  const records = address === undefined || !isA || isCut ? [] : [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address];
  const flags = [0x81 | (isCut ? 2 : 0), 0x80 | (address === undefined ? 3 : 0)];
  return Uint8Array.of(
    query[0]!,
    query[1]!,
    ...flags,
    0,
    1,
    0,
    records.length > 0 ? 1 : 0,
    0,
    0,
    0,
    0,
    ...question,
    ...records,
  );
}

interface Resolver extends Disposable {
  readonly asked: string[];
}

/** A resolver at port 53 of an address. @param mode `cut` has everything asked over TCP. */
async function serve(address: string, mode: "answers" | "silent" | "cut"): Promise<Resolver> {
  const asked: string[] = [];
  const socket: Socket = createSocket("udp4");
  socket.on("message", (query, from) => {
    asked.push("udp");
    if (mode !== "silent") socket.send(answer(query, mode === "cut"), from.port, from.address);
  });
  socket.bind(53, address);
  await once(socket, "listening");
  const server = createServer((stream) => {
    stream.on("error", () => {});
    stream.once("data", (query: Uint8Array) => {
      asked.push("tcp");
      const reply = answer(query.subarray(2), false);
      stream.end(Uint8Array.of(reply.length >> 8, reply.length & 255, ...reply));
    });
  });
  server.listen(53, address);
  await once(server, "listening");
  return {
    asked,
    [Symbol.dispose]() {
      socket.close();
      server.close();
    },
  };
}

/** What a name is inside: addresses, or an error's name. */
async function look(bed: Bed, name: string): Promise<string> {
  const command = `busybox nslookup -type=a ${name} ${GATEWAY_IPV4} 2>&1 || true`;
  const text = await bed.run("sh", "-c", command);
  return /^Address: (.*)$/m.exec(text.split("\n").slice(3).join("\n"))?.[1] ?? /NXDOMAIN|SERVFAIL/.exec(text)?.[0] ??
    text;
}

/** A stack whose host has such a file of name servers, which can be replaced. */
async function withResolvConf(text: string, work: (bed: Bed, replace: (text: string) => void) => Promise<void>) {
  const directory = mkdtempSync(join(tmpdir(), "dugout-test-"));
  chmodSync(directory, 0o755);
  const path = join(directory, "resolv.conf");
  const replace = (content: string) => {
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  };
  replace(text);
  try {
    await using bed = await makeBed();
    using _stack = await startStack(bed, { command: [BINARY!, "__netstack"], resolvConf: path });
    await work(bed, replace);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test(
  "C-092 C-146 a stub on 127.0.0.53 is asked, with the host's search list for names without a dot",
  { skip },
  async () => {
    using resolver = await serve("127.0.0.53", "answers");
    await withResolvConf("nameserver 127.0.0.53\nsearch nowhere.example corp.example\n", async (bed) => {
      assert.equal(await look(bed, "www.example.org"), "192.0.2.1");
      assert.equal(await look(bed, "intranet"), "192.0.2.2");
      assert.equal(await look(bed, "nothing.example.org"), "NXDOMAIN");
    });
    assert.ok(resolver.asked.length >= 4);
  },
);

test(
  "C-145 servers that are dead or silent give way to one that answers, and C-140 another file is followed",
  { skip },
  async () => {
    using silent = await serve("127.0.0.55", "silent");
    using resolver = await serve("127.0.0.53", "answers");
    // nobody listens at 127.0.0.54
    await withResolvConf(
      "nameserver 127.0.0.54\nnameserver 127.0.0.55\nnameserver 127.0.0.53\n",
      async (bed, replace) => {
        assert.equal(await look(bed, "www.example.org"), "192.0.2.1");
        const tried = silent.asked.length;
        for (let i = 0; i < 3; i++) assert.equal(await look(bed, "www.example.org"), "192.0.2.1");
        assert.equal(silent.asked.length, tried, "a silent server was asked first again");
        replace("nameserver 127.0.0.56\n");
        // the file is looked at once a second
        let found = "";
        for (let i = 0; i < 1000 && found !== "SERVFAIL"; i++) found = await look(bed, "www.example.org");
        assert.equal(found, "SERVFAIL");
        const { length } = resolver.asked;
        using _other = await serve("127.0.0.56", "answers");
        assert.equal(await look(bed, "www.example.org"), "192.0.2.1");
        assert.equal(resolver.asked.length, length);
      },
    );
  },
);

test("a search whose answer is cut goes on over TCP", { skip }, async () => {
  using resolver = await serve("127.0.0.53", "cut");
  await withResolvConf("nameserver 127.0.0.53\nsearch corp.example\n", async (bed) => {
    assert.equal(await look(bed, "intranet"), "192.0.2.2");
  });
  assert.deepEqual(resolver.asked, ["udp", "tcp"]);
});
