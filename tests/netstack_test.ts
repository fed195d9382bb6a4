/** The network stack against the kernel's own TCP, over a tap in a user and network namespace of a plain user. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import {
  type Bed,
  type BedStack,
  childCommand,
  finish,
  GATEWAY_IPV4,
  hostAddress,
  LOOPBACK_IPV4,
  makeBed,
  type StackOptions,
  startStack,
} from "./support/network_bed.ts";

const BINARY = process.env["DUGOUT_TEST_BINARY"];
const HOST = hostAddress();
const skip = BINARY === undefined || HOST === undefined
  ? "needs the binary, and an address of the host that is not the loopback's"
  : false;

/** A stack at a bed of its own, for one test. */
async function withStack(options: Partial<StackOptions>, work: (bed: Bed, stack: BedStack) => Promise<void>) {
  await using bed = await makeBed();
  using stack = await startStack(bed, { command: [BINARY!, "__netstack"], ...options });
  await work(bed, stack);
  const figures = await stack.figures();
  assert.equal(figures["frames.errors"], 0, "errors of the stack's own");
}

/** A server of the host, and its port. */
async function listen(
  onConnection: (socket: Socket) => void,
  address = "0.0.0.0",
): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const at = server.address();
  if (at === null || typeof at === "string") throw new Error("No port");
  return { server, port: at.port };
}

/** Waits for a child to print something. */
function said(child: ChildProcess, wanted: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (some) => {
      text += some;
      if (text.includes(wanted)) resolve();
    });
    child.once("close", () => reject(new Error(`ended before it said "${wanted}": ${text}`)));
  });
}

test(
  "A-052 bytes go out and come back; refused is refused; the host's loopback, the gateway and other spellings are closed",
  { skip },
  async () => {
    await withStack({}, async (bed) => {
      const { server, port } = await listen((socket) => socket.pipe(socket));
      try {
        const echoed = await bed.run("sh", "-c", `seq 400000 | timeout 20 socat -t 10 - TCP:${HOST}:${port} | md5sum`);
        assert.equal(echoed, await bed.run("sh", "-c", "seq 400000 | md5sum"));
        for (const target of [`${HOST}:1`, `${GATEWAY_IPV4}:80`]) {
          const refused = await finish(bed.start(["curl", "-sS", "-m", "5", `http://${target}/`]));
          assert.equal(refused.code, 7, refused.err);
          assert.match(refused.err, /Couldn't connect|refused/i);
        }
        const closed = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", LOOPBACK_IPV4];
        for (const address of closed) {
          const answer = await finish(bed.start(["curl", "-sS", "-m", "3", `http://${address}:${port}/`]));
          assert.notEqual(answer.code, 0, `${address} is reached`);
        }
        assert.match(await bed.run("ping", "-c1", "-W2", GATEWAY_IPV4), / 1 received/);
      } finally {
        server.close();
      }
    });
  },
);

test("C-098 the host's loopback is reached by the address that was asked for, where it was", { skip }, async () => {
  await withStack({ hostLoopback: true }, async (bed) => {
    const { server, port } = await listen((socket) => socket.end("from the loopback"), "127.0.0.1");
    try {
      assert.equal(await bed.run("sh", "-c", `nc -w 5 ${LOOPBACK_IPV4} ${port} </dev/null`), "from the loopback");
    } finally {
      server.close();
    }
  });
});

test("C-089 a published port is reached, and the client's own address is seen inside", { skip }, async () => {
  await withStack({}, async (bed, stack) => {
    const inside = bed.start([
      "socat",
      "-d",
      "-d",
      "TCP-LISTEN:7001,fork,reuseaddr",
      "SYSTEM:echo $SOCAT_PEERADDR; cat",
    ]);
    let log = "";
    inside.stderr?.setEncoding("utf8").on("data", (text: string) => log += text);
    await new Promise<void>((resolve) => inside.stderr?.on("data", () => log.includes("listening on") && resolve()));
    await stack.publish(7001);
    const [fromHost, fromLoopback] = await Promise.all(
      [HOST!, "127.0.0.1"].map((address) =>
        finish(bed.startOutside(["sh", "-c", `echo hello | timeout 10 socat -t 5 - TCP:${address}:7001`]))
      ),
    );
    assert.equal(fromHost?.out, `${HOST}\nhello\n`);
    assert.equal(fromLoopback?.out, `${GATEWAY_IPV4}\nhello\n`);
    // nobody listens there: the client is reset
    await stack.publish(7002);
    const refused = await finish(bed.startOutside(["curl", "-sS", "-m", "10", `http://${HOST}:7002/`]));
    // curl: it could not connect, or was reset when it read
    assert.ok(refused.code === 7 || refused.code === 56, refused.err);
  });
});

test("C-094 a half-closed connection gives its answer, both ways", { skip }, async () => {
  await withStack({}, async (bed, stack) => {
    const { server, port } = await listen((socket) => {
      let bytes = 0;
      socket.on("data", (chunk: Buffer) => bytes += chunk.length);
      socket.on("end", () => setTimeout(() => socket.end(`${bytes}\n`), 300));
    });
    try {
      const out = await bed.run("sh", "-c", `head -c 700000 /dev/zero | timeout 20 socat -t 10 - TCP:${HOST}:${port}`);
      assert.equal(out, "700000\n");
      const inside = bed.start([
        "socat",
        "-d",
        "-d",
        "-t",
        "10",
        "TCP-LISTEN:7003,reuseaddr",
        "SYSTEM:wc -c; sleep 0.3; echo end",
      ]);
      await new Promise<void>((resolve) => inside.stderr?.once("data", () => resolve()));
      await stack.publish(7003);
      const answer = bed.startOutside([
        "sh",
        "-c",
        `head -c 700000 /dev/zero | timeout 20 socat -t 10 - TCP:${HOST}:7003`,
      ]);
      assert.equal((await finish(answer)).out, "700000\nend\n");
    } finally {
      server.close();
    }
  });
});

test("C-095 a gigabyte goes each way at once over one connection, in bounded memory", { skip }, async () => {
  await withStack({ memoryBytes: 32 << 20 }, async (bed, stack) => {
    const size = 1 << 30;
    let got = 0;
    let onEnd = () => {};
    const isEnded = new Promise<void>((resolve) => onEnd = resolve);
    const { server, port } = await listen((socket) => {
      let left = size;
      const chunk = Buffer.alloc(1 << 20);
      const give = () => {
        while (left > 0) {
          left -= chunk.length;
          if (!socket.write(chunk)) return void socket.once("drain", give);
        }
        socket.end();
      };
      socket.on("data", (some: Buffer) => got += some.length);
      socket.on("end", () => onEnd());
      give();
    });
    try {
      const out = await bed.run(
        "sh",
        "-c",
        `head -c ${size} /dev/zero | timeout 100 socat -b 262144 -t 60 - TCP:${HOST}:${port} | wc -c`,
      );
      assert.equal(Number(out), size);
      await isEnded;
      assert.equal(got, size);
      const figures = await stack.figures();
      assert.equal(figures["held.ringBytes"], 0);
      assert.ok(figures["held.residentBytes"]! < 150 << 20, `resident: ${figures["held.residentBytes"]}`);
    } finally {
      server.close();
    }
  });
});

test("10,000 connections at once are held, and each still answers", { skip }, async () => {
  await withStack({}, async (bed, stack) => {
    const echo = bed.startOutside(childCommand("net_child.ts", "echo", HOST!, "7010"));
    await said(echo, "listening");
    const clients = bed.start(childCommand("net_child.ts", "hold", HOST!, "7010", "10000"), {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await said(clients, "up");
    const idle = await stack.figures();
    assert.equal(idle["tcp.connections"], 10_000);
    assert.equal(idle["held.ringBytes"], 0);
    clients.stdin?.write("\n");
    await said(clients, "echoed");
    const figures = await stack.figures();
    console.log(`10,000 connections: ${(figures["held.residentBytes"]! / 2 ** 20).toFixed(0)} MiB resident`);
    assert.ok(figures["held.residentBytes"]! < 200 << 20);
    clients.stdin?.end("\n");
    assert.equal((await finish(clients)).code, 0);
  });
});

/** How many: 100,000 by hand, where the machine has nothing else to do. */
const SEQUENTIAL = Number(process.env["DUGOUT_TEST_CONNECTIONS"] ?? 12_000);
/** That many clients at once, one connection after the other each. */
const CLIENTS = 8;

test(`${SEQUENTIAL} connections, one after the other, leave nothing behind`, { skip }, async () => {
  await withStack({}, async (bed, stack) => {
    const server = bed.startOutside(childCommand("net_child.ts", "accept", HOST!, "7011"));
    await said(server, "listening");
    const connect = async (count: number) => {
      const share = String(count / CLIENTS);
      const start = performance.now();
      await Promise.all(
        Array.from(
          { length: CLIENTS },
          () => bed.run(...childCommand("net_child.ts", "connect", HOST!, "7011", share)),
        ),
      );
      return (performance.now() - start) / 1000;
    };
    // whatever grows until it is warm has grown then, TIME_WAITs among it
    await connect(12_000);
    const before = await stack.figures();
    const seconds = await connect(SEQUENTIAL);
    const after = await stack.figures();
    console.log(`${Math.round(SEQUENTIAL / seconds)} connections a second`);
    assert.equal(after["tcp.opened"]! - before["tcp.opened"]!, SEQUENTIAL);
    assert.equal(after["tcp.connections"], after["tcp.timeWaits"]);
    assert.equal(after["held.ringBytes"], 0);
    const grown = after["held.residentBytes"]! - before["held.residentBytes"]!;
    assert.ok(grown < 24 << 20, `grew by ${grown} bytes`);
  });
});

test(
  "a peer that never reads stops its writer and nobody else; one that resets is told of as a reset",
  { skip },
  async () => {
    await withStack({}, async (bed, stack) => {
      const held: Socket[] = [];
      const { server, port } = await listen((socket) => {
        // whoever says "r" is reset, whoever says "e" gets an echo, all others are never read
        socket.once("data", (chunk: Buffer) => {
          if (chunk[0] === 0x72) socket.resetAndDestroy();
          else if (chunk[0] === 0x65) socket.end(chunk);
          else socket.pause();
        });
        held.push(socket);
      });
      try {
        const writer = bed.start(["sh", "-c", `head -c 100000000 /dev/zero | socat -u - TCP:${HOST}:${port}`]);
        const isEnded = finish(writer);
        for (let i = 0; i < 20; i++) {
          assert.equal(await bed.run("sh", "-c", `echo e | timeout 10 socat -t 5 - TCP:${HOST}:${port}`), "e\n");
        }
        const figures = await stack.figures();
        assert.ok(figures["held.ringBytes"]! <= 1 << 20, `held: ${figures["held.ringBytes"]}`);
        const reset = await finish(
          bed.start([
            "sh",
            "-c",
            `(echo r; sleep 1; echo more; sleep 1) | timeout 10 socat -t 5 - TCP:${HOST}:${port}`,
          ]),
        );
        assert.match(reset.err, /reset|Broken pipe/i);
        for (const socket of held) socket.destroy();
        await isEnded;
      } finally {
        server.close();
      }
    });
  },
);

test("A-052 A-058 A-059 raw frames of all kinds from inside end nothing and reach nothing on the host's loopback", {
  skip,
}, async () => {
  await withStack({}, async (bed, stack) => {
    let reached = 0;
    const loopback = await listen(() => reached++, "127.0.0.1");
    const outside = await listen((socket) => socket.pipe(socket), HOST!);
    try {
      const count = 100_000;
      await bed.run(...childCommand("net_child.ts", "storm", "tap0", String(loopback.port), String(count)));
      const echoed = await bed.run("sh", "-c", `echo alive | timeout 20 socat -t 10 - TCP:${HOST}:${outside.port}`);
      assert.equal(echoed, "alive\n");
      assert.equal(reached, 0);
      const figures = await stack.figures();
      const dropped = Object.entries(figures).filter(([name]) => name.startsWith("dropped.")).map(([name, value]) =>
        `${name.slice(8)} ${value}`
      );
      console.log(`${figures["frames.in"]} frames came: ${dropped.join(", ")}`);
      assert.ok(figures["tcp.connections"]! < 1100);
    } finally {
      loopback.server.close();
      outside.server.close();
    }
  });
});

test("bulk goes both ways through a tap that loses and doubles frames", { skip }, async () => {
  const command = childCommand("lossy_stack.ts", "0.01", "0.005");
  await withStack({ command, mtu: 1500 }, async (bed, stack) => {
    const size = 30_000_000;
    const { server, port } = await listen((socket) => socket.pipe(socket));
    try {
      const echoed = await bed.run(
        "sh",
        "-c",
        `seq 9999999 | head -c ${size} | timeout 100 socat -b 65536 -t 60 - TCP:${HOST}:${port} | md5sum`,
      );
      assert.equal(echoed, await bed.run("sh", "-c", `seq 9999999 | head -c ${size} | md5sum`));
      const figures = await stack.figures();
      assert.ok(figures["tcp.retransmitted"]! > 0 && figures["tcp.outOfOrder"]! > 0);
      console.log(`${figures["tcp.retransmitted"]} frames sent again, ${figures["tcp.timeouts"]} timeouts`);
    } finally {
      server.close();
    }
  });
});

test("the stack runs under Deno from its sources, and writes what passes to a file", { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "dugout-pcap-"));
  const pcap = join(directory, "all.pcap");
  chmodSync(directory, 0o777);
  const root = process.env["DUGOUT_TEST_SOURCES"] ?? join(import.meta.dirname ?? "", "..");
  const deno = [join(root, "node_modules/.bin/deno"), "run", "--no-lock", "-A", join(root, "src/cli/main.ts")];
  try {
    await withStack({ command: [...deno, "__netstack"], pcap }, async (bed) => {
      const { server, port } = await listen((socket) => socket.pipe(socket));
      try {
        const echoed = await bed.run("sh", "-c", `seq 300000 | timeout 20 socat -t 10 - TCP:${HOST}:${port} | md5sum`);
        assert.equal(echoed, await bed.run("sh", "-c", "seq 300000 | md5sum"));
      } finally {
        server.close();
      }
    });
    const file = readFileSync(pcap);
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    assert.equal(view.getUint32(0, true), 0xa1b2c3d4);
    let frames = 0;
    let at = 24;
    for (; at < file.length; frames++) at += 16 + view.getUint32(at + 8, true);
    assert.equal(at, file.length, "the last record is whole");
    assert.ok(frames > 20);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
