/** Networks of containers: made, listed, joined and left; their containers' links and addresses. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const IMAGE = `${REGISTRY}/busybox`;

/** A sandbox with a runtime directory of its own: the user's usual one has networks of other tests. */
function alone(name: string, work: (box: Sandbox) => Promise<void>): void {
  asBoth(name, async (box) => {
    const dugout: Sandbox["dugout"] = (args, options) =>
      box.dugout(["--run", runRoot(box), ...args], { timeoutMs: 60_000, ...options });
    const succeed: Sandbox["succeed"] = (args, options) =>
      box.succeed(["--run", runRoot(box), ...args], { timeoutMs: 60_000, ...options });
    await work({ ...box, dugout, succeed });
    // the last look ends what networks stand on
    await succeed(["ps"]);
  });
}

/** The process that holds the shared namespaces. */
async function holderOf(box: Sandbox): Promise<string> {
  const { stdout } = await box.run(["cat", join(runRoot(box), "network/holder.json")]);
  return String((JSON.parse(stdout) as { pid: number }).pid);
}

function runRoot(box: Sandbox): string {
  return join(box.home, "rt");
}

async function start(box: Sandbox, name: string, ...flags: string[]): Promise<void> {
  await box.succeed(["run", "-qd", "--name", name, ...flags, IMAGE, "sleep", "1000"], { timeoutMs: 60_000 });
}

async function lines(box: Sandbox, ...args: string[]): Promise<string[]> {
  return (await box.succeed(args, { timeoutMs: 60_000 })).stdout.split("\n").slice(0, -1);
}

/** The IPv4 addresses of a container's links, the loopback's apart. */
async function addresses(box: Sandbox, name: string): Promise<string[]> {
  const { stdout } = await box.succeed(["exec", name, "ip", "-4", "-o", "addr"]);
  return [...stdout.matchAll(/inet ([0-9.]+\/[0-9]+)/g)].map(([, text = ""]) => text).filter((text) =>
    !text.startsWith("127.")
  );
}

async function canPing(box: Sandbox, from: string, address: string): Promise<boolean> {
  return (await box.dugout(["exec", from, "ping", "-c1", "-W2", address], { timeoutMs: 30_000 })).code === 0;
}

alone("containers of one network reach each other, and those of another not", async (box) => {
  await box.succeed(["network", "create", "--subnet", "10.131.0.0/24", "one"]);
  await box.succeed(["network", "create", "--subnet", "10.131.1.0/24", "other"]);
  await start(box, "first", "--network", "one");
  await start(box, "second", "--network", "one");
  await start(box, "third", "--network", "other");
  assert.deepEqual(await addresses(box, "first"), ["10.131.0.2/24"]);
  assert.deepEqual(await addresses(box, "second"), ["10.131.0.3/24"]);
  assert.deepEqual(await addresses(box, "third"), ["10.131.1.2/24"]);
  assert.ok(await canPing(box, "first", "10.131.0.3"));
  assert.ok(!await canPing(box, "third", "10.131.0.3"), "another network was reached");
  await box.succeed(["rm", "-ft0", "first", "second", "third"]);
});

alone("a container has the addresses that were asked for, in several networks", async (box) => {
  await box.succeed(["network", "create", "--subnet", "10.131.0.0/24", "--gateway", "10.131.0.9", "one"]);
  await box.succeed(["network", "create", "--subnet", "10.131.1.0/24", "--ipv6", "--subnet", "fd12::/64", "two"]);
  const flags = [
    "--network",
    "name=one,ip=10.131.0.77,mac-address=02:42:00:00:00:05",
    "--network",
    "name=two,ip6=fd12::5",
  ];
  await start(box, "web", ...flags);
  assert.deepEqual(await addresses(box, "web"), ["10.131.0.77/24", "10.131.1.2/24"]);
  const links = (await box.succeed(["exec", "web", "ip", "addr"])).stdout;
  assert.match(links, /link\/ether 02:42:00:00:00:05/);
  assert.match(links, /inet6 fd12::5\/64/);
  assert.match((await box.succeed(["exec", "web", "ip", "route"])).stdout, /^default via 10.131.0.9 dev eth0/m);
  const template =
    "{{range $name, $net := .NetworkSettings.Networks}}{{$name}} {{$net.IPAddress}} {{$net.Gateway}} {{end}}";
  assert.deepEqual(await lines(box, "inspect", "-f", template, "web"), [
    "one 10.131.0.77 10.131.0.9 two 10.131.1.2 10.131.1.1 ",
  ]);
  const taken = await box.dugout(["run", "--rm", "--network", "one", "--ip", "10.131.0.77", IMAGE, "true"]);
  assert.equal(taken.code, 125);
  assert.match(taken.stderr, /Address already in use/);
  await box.succeed(["rm", "-ft0", "web"]);
});

alone("a running container is connected and disconnected, and keeps that when it is started again", async (box) => {
  await box.succeed(["network", "create", "--subnet", "10.131.0.0/24", "one"]);
  await box.succeed(["network", "create", "--subnet", "10.131.1.0/24", "two"]);
  await start(box, "web", "--network", "one");
  await start(box, "peer", "--network", "two");
  await box.succeed(["network", "connect", "--ip", "10.131.1.50", "two", "web"]);
  assert.deepEqual(await addresses(box, "web"), ["10.131.0.2/24", "10.131.1.50/24"]);
  assert.ok(await canPing(box, "peer", "10.131.1.50"));
  assert.equal((await box.dugout(["network", "rm", "two"])).code, 1);
  assert.equal((await box.dugout(["network", "connect", "two", "web"])).code, 1);
  await box.succeed(["network", "disconnect", "one", "web"]);
  assert.deepEqual(await addresses(box, "web"), ["10.131.1.50/24"]);
  assert.match((await box.succeed(["exec", "web", "ip", "route"])).stdout, /^default via 10.131.1.1/m);
  await box.succeed(["restart", "-t0", "web"], { timeoutMs: 60_000 });
  assert.deepEqual(await addresses(box, "web"), ["10.131.1.50/24"]);
  assert.equal((await box.dugout(["network", "disconnect", "one", "web"])).code, 1);
  await box.succeed(["rm", "-ft0", "web", "peer"]);
});

alone("networks are made, listed, inspected, pruned and removed as docker does", async (box) => {
  const [id = ""] = await lines(box, "network", "create", "--label", "a=b", "mine");
  assert.match(id, /^[0-9a-f]{64}$/);
  // one that is there will do, and stays as it is
  assert.deepEqual(await lines(box, "network", "create", "--ignore", "--label", "a=c", "mine"), [id]);
  assert.equal((await lines(box, "network", "ls"))[0], "NETWORK ID     NAME      DRIVER    SCOPE");
  assert.deepEqual(await lines(box, "network", "ls", "--format", "{{.Name}} {{.Driver}}"), [
    "bridge bridge",
    "host host",
    "mine bridge",
    "none null",
  ]);
  assert.deepEqual(await lines(box, "network", "ls", "-q", "--filter", "label=a=b"), [id.slice(0, 12)]);
  assert.deepEqual(await lines(box, "network", "inspect", "-f", "{{.Name}} {{.Labels.a}}", id.slice(0, 8)), ["mine b"]);
  for (
    const [args, words] of [
      [["create", "mine"], "network with name mine already exists"],
      [["create", "--subnet", "10.88.0.0/24", "x"], "Pool overlaps"],
      [["create", "--subnet", "10.1.0.0/24", "--gateway", "10.2.0.1", "x"], "no matching subnet for gateway 10.2.0.1"],
      [["create", "--subnet", "10.1.0.0/x", "x"], "invalid subnet"],
      [["create", "host"], "that is no name for one"],
      [["rm", "bridge"], "pre-defined network"],
      [["rm", "nothing"], "network nothing not found"],
      [["inspect", "nothing"], "network nothing not found"],
    ] as const
  ) {
    const { code, stderr } = await box.dugout(["network", ...args]);
    assert.equal(code, 1, args.join(" "));
    assert.ok(stderr.includes(words), stderr);
  }
  for (const driver of ["macvlan", "ipvlan", "overlay"]) {
    const { code, stderr } = await box.dugout(["network", "create", "-d", driver, "x"]);
    assert.equal(code, 125);
    assert.match(stderr, /^dugout: Cannot make the network: there is no driver ".*": [^\n]+\n$/);
  }
  assert.deepEqual(await lines(box, "network", "rm", "mine"), ["mine"]);
  await lines(box, "network", "create", "left");
  assert.deepEqual(await lines(box, "network", "prune", "-f"), ["Deleted Networks:", "left", ""]);
});

alone("twenty containers that start at once get twenty addresses", async (box) => {
  await box.succeed(["network", "create", "--subnet", "10.131.0.0/27", "--gateway", "10.131.0.30", "small"]);
  await box.succeed(["pull", "-q", IMAGE]);
  const names = Array.from({ length: 20 }, (_, index) => `c${index + 10}`);
  await Promise.all(names.map((name) => start(box, name, "--rm", "--network", "small")));
  const template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
  const given = await lines(box, "inspect", "-f", template, ...names);
  assert.equal(new Set(given).size, 20, given.join(" "));
  await box.succeed(["rm", "-ft0", ...names], { timeoutMs: 60_000 });
});

asBoth(
  "all maps of ids and modes have their links: keep-id, --user, --init, another container's network",
  async (box) => {
    await box.succeed(["network", "create", "--subnet", "10.131.0.0/24", "one"]);
    await start(box, "web", "--network", "one");
    const look = ["ip", "-4", "-o", "addr", "show", "eth0"];
    const shapes: string[][] = [["--userns", "keep-id"], ["--user", "33"], ["--init"], ["--privileged"]];
    if (box.user.kind === "sub") shapes.push(["--userns", "nomap"]);
    for (const flags of shapes) {
      const { stdout } = await box.succeed(["run", "--rm", "--network", "one", ...flags, IMAGE, ...look]);
      assert.match(stdout, /inet 10\.131\.0\.[0-9]+\/24/, flags.join(" "));
    }
    const { stdout } = await box.succeed(["run", "--rm", "--network", "container:web", IMAGE, ...look]);
    assert.match(stdout, /inet 10\.131\.0\.2\/24/);
    await box.succeed(["rm", "-ft0", "web"]);
  },
  { skip },
);

alone("a killed holder takes the network of no container away, and the next start makes another one", async (box) => {
  await box.succeed(["network", "create", "--subnet", "10.131.0.0/24", "one"]);
  await start(box, "first", "--network", "one");
  await start(box, "second", "--network", "one");
  const before = await holderOf(box);
  assert.equal((await box.run(["kill", "-9", before])).code, 0);
  assert.deepEqual(await addresses(box, "first"), ["10.131.0.2/24"]);
  await start(box, "third", "--network", "one");
  await start(box, "fourth", "--network", "one");
  assert.notEqual(await holderOf(box), before);
  for (const peer of ["first", "second", "fourth"]) {
    assert.ok(await canPing(box, "third", (await addresses(box, peer))[0]?.split("/")[0] ?? ""), peer);
  }
  await box.succeed(["rm", "-ft0", "first", "second", "third", "fourth"], { timeoutMs: 60_000 });
});

/** Answers every connection with one line, one after the other. */
const SERVER = ["sh", "-c", 'while true; do printf "HTTP/1.0 200 OK\\r\\n\\r\\nhello\\n" | nc -l -p 80; done'];

async function serve(box: Sandbox, name: string, ...flags: string[]): Promise<void> {
  await box.succeed(["run", "-qd", "--name", name, ...flags, IMAGE, ...SERVER]);
}

async function fetchHost(box: Sandbox, url: string): Promise<string> {
  const { stdout, code } = await box.run([
    "curl",
    "-sg",
    "-m",
    "5",
    "--retry",
    "5",
    "--retry-connrefused",
    "--retry-delay",
    "1",
    url,
  ]);
  return code === 0 ? stdout : `curl ends with ${code}`;
}

/** The port of this machine at which something is published. */
async function portOf(box: Sandbox, name: string, port: string): Promise<string> {
  return (await lines(box, "port", name, port))[0]?.split(":").at(-1) ?? "";
}

alone("C-089 the host reaches a published port, and the container sees the client's own address", async (box) => {
  await box.succeed(["network", "create", "mine"]);
  await serve(box, "web", "--network", "mine", "-p", "80");
  const port = await portOf(box, "web", "80");
  assert.match(port, /^[0-9]+$/);
  const host =
    (await box.succeed(["exec", "web", "nslookup", "host.docker.internal"])).stdout.trim().split(" ").at(-1) ?? "";
  for (const address of ["127.0.0.1", host, "[::1]"]) {
    assert.equal(await fetchHost(box, `http://${address}:${port}/`), "hello\n", address);
  }
  const seen = (await box.succeed(["exec", "web", "netstat", "-tn"])).stdout;
  assert.ok(seen.includes(`:${host}:`) || seen.includes(` ${host}:`), seen);
  await box.succeed(["rm", "-ft0", "web"]);
  assert.equal(await fetchHost(box, `http://127.0.0.1:${port}/`), "curl ends with 7");
});

alone(
  "C-144 containers find each other by name, alias and id as soon as they are started, and not when they have ended",
  async (box) => {
    await box.succeed(["network", "create", "mine"]);
    await box.succeed(["network", "create", "other"]);
    for (let round = 0; round < 5; round++) {
      await start(box, "peer", "--network", "mine", "--network-alias", "db");
      const id = (await lines(box, "inspect", "-f", "{{.Id}}", "peer"))[0]?.slice(0, 12) ?? "";
      for (const name of ["peer", "db", id]) {
        const { stdout } = await box.succeed(["run", "--rm", "--network", "mine", IMAGE, "nslookup", name]);
        assert.match(stdout, /Address: 10\./, name);
      }
      assert.notEqual((await box.dugout(["run", "--rm", "--network", "other", IMAGE, "nslookup", "peer"])).code, 0);
      await box.succeed(["kill", "peer"]);
      await box.dugout(["wait", "peer"]);
      assert.notEqual((await box.dugout(["run", "--rm", "--network", "mine", IMAGE, "nslookup", "peer"])).code, 0);
      await box.succeed(["rm", "peer"]);
    }
  },
);

alone("a port in use is an error before the container starts, and one of root's names the setting", async (box) => {
  await serve(box, "web", "--network", "bridge", "-p", "80");
  const port = await portOf(box, "web", "80");
  const taken = await box.dugout(["run", "--rm", "--network", "bridge", "-p", `${port}:80`, IMAGE, "echo", "started"]);
  assert.equal(taken.code, 125);
  assert.match(taken.stderr, new RegExp(`Bind for 0\\.0\\.0\\.0:${port} failed: port is already allocated`));
  assert.equal(taken.stdout, "");
  const low = await box.dugout(["run", "--rm", "--network", "bridge", "-p", "80:80", IMAGE, "true"]);
  assert.equal(low.code, 125);
  assert.match(low.stderr, /net\.ipv4\.ip_unprivileged_port_start=80/);
  await box.succeed(["rm", "-ft0", "web"]);
});

alone(
  "a killed stack takes no container away, and the next command starts it again with its ports and names",
  async (box) => {
    await box.succeed(["network", "create", "mine"]);
    await serve(box, "web", "--network", "mine", "-p", "80");
    const port = await portOf(box, "web", "80");
    const { stdout } = await box.run(["cat", join(runRoot(box), "network/stack.json")]);
    assert.equal((await box.run(["kill", "-9", String((JSON.parse(stdout) as { pid: number }).pid)])).code, 0);
    assert.equal((await box.succeed(["exec", "web", "echo", "here"])).stdout, "here\n");
    await box.succeed(["ps"]);
    assert.equal(await fetchHost(box, `http://127.0.0.1:${port}/`), "hello\n");
    const found = await box.succeed(["run", "--rm", "--network", "mine", IMAGE, "nslookup", "web"]);
    assert.match(found.stdout, /Address: 10\./);
    await box.succeed(["rm", "-ft0", "web"]);
  },
);

alone("A-061 an internal network leads nowhere but to its own containers, by address or by name", async (box) => {
  await box.succeed(["network", "create", "--internal", "closed"]);
  await start(box, "peer", "--network", "closed");
  const look = "ip route | grep -c default; nslookup peer; nslookup host.docker.internal; nslookup example.org";
  const { stdout } = await box.dugout(["run", "--rm", "--network", "closed", IMAGE, "sh", "-c", look]);
  assert.match(stdout, /^0\n/);
  assert.match(stdout, /Name:\tpeer\nAddress: 10\./);
  assert.equal(stdout.match(/^Name:/gm)?.length, 1, stdout);
  const port = await box.dugout(["run", "--rm", "--network", "closed", "-p", "80", IMAGE, "true"]);
  assert.match(port.stderr, /all networks of the container are internal/);
  await box.succeed(["rm", "-ft0", "peer"]);
});
