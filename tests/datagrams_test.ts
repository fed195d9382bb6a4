/** What containers in networks send but TCP: datagrams, pings and questions for names; and raw frames of a hostile one. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { asBoth, needsRegistry, REGISTRY, type Sandbox } from "./harness.ts";

const skip = needsRegistry();
const BUSYBOX = `${REGISTRY}/busybox`;
const DEBIAN = `${REGISTRY}/debian`;
const RUN = { timeoutMs: 60_000 };

/** A sandbox with a runtime directory of its own, and one network: 10.131.0.0/24 and fd13::/64. */
function alone(name: string, work: (box: Sandbox) => Promise<void>): void {
  asBoth(name, async (box) => {
    const runRoot = join(box.home, "rt");
    const dugout: Sandbox["dugout"] = (args, options) =>
      box.dugout(["--run", runRoot, ...args], { ...RUN, ...options });
    const succeed: Sandbox["succeed"] = (args, options) =>
      box.succeed(["--run", runRoot, ...args], { ...RUN, ...options });
    await succeed(["network", "create", "--subnet", "10.131.0.0/24", "--ipv6", "--subnet", "fd13::/64", "one"]);
    await work({ ...box, dugout, succeed });
    // the last look ends what networks stand on
    await succeed(["ps"]);
  }, { skip });
}

/** An IPv4 address of this machine that is not the loopback's. */
function hostAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const found = all.find(({ family, internal }) => family === "IPv4" && !internal);
  assert.ok(found, "this machine has no address but its loopback's");
  return found.address;
}

/** A UDP socket of this machine. */
async function openUdp(address: string, port = 0): Promise<Socket> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.bind(port, address);
  await once(socket, "listening");
  return socket;
}

/** Runs a program of perl in a container on the network. */
function perl(box: Sandbox, flags: readonly string[], program: string, ...args: string[]) {
  return box.dugout(["run", "-q", "--rm", "--network", "one", ...flags, DEBIAN, "perl", "-e", program, ...args]);
}

/** Sends a datagram of each size and tells what came back. */
const ASK = `
use Socket; use IO::Socket::INET;
my ($to, $port, @sizes) = @ARGV;
my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => $to, PeerPort => $port) or die "$!";
for my $n (@sizes) {
  my $data = join("", map { chr(($_ * 7 + $n) & 255) } 1 .. $n);
  send($s, $data, 0); my $in = ""; vec($in, fileno($s), 1) = 1;
  if (!select($in, undef, undef, 5)) { print "$n silent\\n"; next; }
  my $got = ""; print defined(recv($s, $got, 70000, 0)) ? "$n " . ($got eq $data ? "same" : "other") . "\\n" : "$n $!\\n";
}`;

alone("datagrams of every size go out and come back; a port where nobody listens is refused", async (box) => {
  const server = await openUdp("0.0.0.0");
  const sources: string[] = [];
  server.on("message", (data, { address, port }) => {
    sources.push(address);
    server.send(data, port, address);
  });
  const sizes = ["0", "1", "1400", "9000", "65000", "65507"];
  const { stdout } = await perl(box, [], ASK, hostAddress(), String(server.address().port), ...sizes);
  assert.equal(stdout, sizes.map((size) => `${size} same\n`).join(""));
  const { port } = server.address();
  server.close();
  assert.match((await perl(box, [], ASK, hostAddress(), String(port), "1")).stdout, /^1 Connection refused/);
});

alone(
  "C-090 C-091 clients of a published UDP port are answered from where they asked, and seen as who they are",
  async (box) => {
    const echo = `
use Socket; use IO::Socket::INET;
my $s = IO::Socket::INET->new(Proto => "udp", LocalPort => 53) or die "$!"; $| = 1; print "ready\\n";
while (my $from = recv($s, my $data, 9000, 0)) {
  my ($port, $ip) = sockaddr_in($from); send($s, inet_ntoa($ip) . " $port $data", 0, $from);
}`;
    await box.succeed([
      "run",
      "-qd",
      "--name",
      "server",
      "--network",
      "one",
      "-p",
      "53/udp",
      DEBIAN,
      "perl",
      "-e",
      echo,
    ]);
    const { stdout } = await box.succeed(["port", "server", "53/udp"]);
    const port = Number(/:(\d+)$/m.exec(stdout)?.[1]);
    const clients = await Promise.all(Array.from({ length: 100 }, () => openUdp("0.0.0.0")));
    const addresses = ["127.0.0.1", "127.0.0.2", hostAddress()];
    await Promise.all(clients.map(async (client, index) => {
      const asked = addresses[index % addresses.length]!;
      for (let tries = 0;; tries++) {
        const answer = once(client, "message", { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
        client.send(`hello ${index}`, port, asked);
        const got = await answer as [Uint8Array, { address: string }] | undefined;
        if (got === undefined) {
          // the server may not listen yet
          assert.ok(tries < 10, `client ${index} gets no answer from ${asked}`);
          continue;
        }
        const [data, { address }] = got;
        assert.equal(address, asked);
        const [seen, seenPort, ...text] = new TextDecoder().decode(data).split(" ");
        assert.deepEqual(text, ["hello", String(index)]);
        // clients of the loopback are shown as the gateway
        assert.equal(seen, asked.startsWith("127.") ? "10.131.0.1" : asked);
        if (!asked.startsWith("127.")) assert.equal(Number(seenPort), client.address().port);
        break;
      }
    }));
    for (const client of clients) client.close();
    await box.succeed(["rm", "-ft0", "server"]);
  },
);

alone("C-099 the gateway answers pings, and others too where this machine lets users ping", async (box) => {
  const ping = async (to: string) =>
    (await box.dugout(["run", "-q", "--rm", "--network", "one", BUSYBOX, "ping", "-c1", "-W3", to])).code === 0;
  assert.ok(await ping("10.131.0.1"));
  assert.ok(await ping("fd13::1"));
  const [low = 1, high = 0] = readFileSync("/proc/sys/net/ipv4/ping_group_range", "utf8").trim().split(/\s+/).map(
    Number,
  );
  assert.equal(await ping(hostAddress()), low < high && high > 60_000);
});

alone("C-144 C-145 names of containers and of this machine are answered, on their own network alone", async (box) => {
  await box.succeed(["network", "create", "--subnet", "10.131.1.0/24", "other"]);
  const flags = ["--network", "name=one,alias=db,alias=cache"];
  const { stdout: id } = await box.succeed(["run", "-qd", "--name", "store", ...flags, BUSYBOX, "sleep", "1000"]);
  const look = async (network: string, name: string, ...flags: string[]) => {
    const args = ["run", "-q", "--rm", "--network", network, BUSYBOX, "nslookup", ...flags, name];
    const { stdout } = await box.dugout(args);
    return stdout.split("\n").slice(3).filter((line) => /Address|NXDOMAIN|REFUSED/.test(line)).join(" ");
  };
  for (const name of ["store", "db", "cache", id.slice(0, 12), "STORE"]) {
    assert.match(await look("one", name), /Address: 10\.131\.0\.2 .*fd13::2/);
  }
  assert.match(await look("one", "host.docker.internal", "-type=a"), new RegExp(`Address: ${hostAddress()}`));
  assert.doesNotMatch(await look("other", "store"), /Address/);
  await box.succeed(["rm", "-ft0", "store"]);
  assert.match(await look("one", "store"), /NXDOMAIN/);
});

alone("A-061 an internal network answers its own names at once, refuses others, and leads nowhere", async (box) => {
  await box.succeed(["network", "create", "--internal", "--subnet", "10.131.1.0/24", "inner"]);
  const server = await openUdp("0.0.0.0");
  const got: string[] = [];
  server.on("message", (data) => got.push(String(data)));
  const { port } = server.address();
  const script = `nslookup self | tail -3; nslookup www.example.org; echo x | nc -u -w1 ${hostAddress()} ${port}; ` +
    "ip route; ping -c1 -W2 10.131.1.1 >/dev/null && echo gateway";
  const args = ["run", "-q", "--rm", "--network", "inner", "--name", "self", BUSYBOX, "sh", "-c", script];
  const { stdout } = await box.dugout(args);
  assert.match(stdout, /Address: 10\.131\.1\.2/);
  assert.match(stdout, /REFUSED/);
  assert.deepEqual(got, []);
  server.close();
});

/** Sends raw frames to the gateway: UDP, SYN and ping to each address, from the container's own and from a stranger's. */
const RAW = String.raw`
use strict; use Socket;
my ($port, @to) = @ARGV;
sub sum { my ($d) = @_; $d .= "\0" if length($d) % 2; my $s = 0; $s += $_ for unpack("n*", $d);
  $s = ($s & 65535) + ($s >> 16) while $s >> 16; return ~$s & 65535; }
socket(my $poke, AF_INET, SOCK_DGRAM, 17) or die; send($poke, "x", 0, sockaddr_in(9, inet_aton("10.131.0.1"))); sleep 1;
open(my $arp, "<", "/proc/net/arp"); my ($line) = grep { /^10\.131\.0\.1 / } <$arp>;
my $gateway = pack("H12", join("", split(/:/, (split(/\s+/, $line))[3])));
open(my $m, "<", "/sys/class/net/eth0/address"); chomp(my $own = <$m>); my $mac = pack("H12", join("", split(/:/, $own)));
socket(my $raw, 17, 3, 768) or die "$!";
sub frame { my ($type, $data) = @_;
  send($raw, $gateway . $mac . pack("n", $type) . $data, 0, pack("S n i S C C a8", 17, $type, 100, 1, 0, 6, $gateway)) or die "$!"; }
my $count = 0;
for my $to (@to) {
  my $six = $to =~ /:/;
  my $dst = $six ? Socket::inet_pton(AF_INET6, $to) : inet_aton($to);
  for my $from ($six ? ("fd13::2", "::1") : ("10.131.0.2", "127.0.0.1", "10.131.0.9")) {
    my $src = $six ? Socket::inet_pton(AF_INET6, $from) : inet_aton($from);
    for my $protocol (17, 6, $six ? 58 : 1) {
      my $body = $protocol == 17 ? pack("nnnn", 4000, $port, 12, 0) . "evil"
        : $protocol == 6 ? pack("nnNNnnnn", 4000 + $count % 1000, $port, 1, 0, 0x5002, 65535, 0, 0)
        : pack("CCnnn", $six ? 128 : 8, 0, 0, 7, 1) . "evil";
      my $pseudo = $src . $dst . ($six ? pack("NN", length($body), $protocol) : pack("nn", $protocol, length($body)));
      my $at = $protocol == 17 ? 6 : $protocol == 6 ? 16 : 2;
      substr($body, $at, 2) = pack("n", sum(($protocol == 1 ? "" : $pseudo) . $body));
      # whole, and in two fragments
      for my $cut (0, 8) {
        for my $part ($cut ? ([0, 8, 1], [8, length($body) - 8, 0]) : ([0, length($body), 0])) {
          my ($offset, $length, $more) = @$part; my $piece = substr($body, $offset, $length);
          if ($six) {
            my $extra = $cut ? pack("CCnN", $protocol, 0, $offset | $more, 77 + $count) : "";
            frame(0x86dd, pack("NnCC", 0x60000000, length($extra . $piece), $cut ? 44 : $protocol, 64) . $src . $dst . $extra . $piece);
          } else {
            my $header = pack("CCnnnCCn", 0x45, 0, 20 + length($piece), $count & 65535, ($more << 13) | ($offset >> 3), 64, $protocol, 0) . $src . $dst;
            substr($header, 10, 2) = pack("n", sum($header));
            frame(0x0800, $header . $piece);
          }
        }
        $count++;
      }
    }
  }
}
print "sent $count\n"; sleep 1;`;

alone(
  "A-052 A-060 raw frames reach no service of this machine's loopback, however it is spelled, nor speak for others",
  async (box) => {
    const heard: string[] = [];
    const datagrams = [await openUdp("127.0.0.1")];
    const { port } = datagrams[0]!.address();
    datagrams.push(await openUdp("::1", port));
    const servers = [];
    for (const address of ["127.0.0.1", "::1"]) {
      const server = createServer((socket) => {
        heard.push(`tcp ${address}`);
        socket.destroy();
      });
      server.listen(port, address);
      await once(server, "listening");
      servers.push(server);
    }
    for (const socket of datagrams) socket.on("message", (data) => heard.push(`udp ${data}`));
    const spellings = [
      "127.0.0.1",
      "127.0.0.53",
      "127.255.255.254",
      "0.0.0.0",
      "0.0.0.1",
      "255.255.255.255",
      "10.131.0.255",
      "224.0.0.1",
      "240.0.0.1",
      "169.254.169.254",
      "::",
      "::1",
      "::127.0.0.1",
      "::ffff:127.0.0.1",
      "::ffff:0.0.0.0",
      "64:ff9b::127.0.0.1",
      "2002:7f00:1::1",
      "fe80::1",
      "ff02::1",
    ];
    const { stdout, stderr } = await perl(box, [], RAW, String(port), ...spellings, hostAddress());
    assert.match(stdout, /^sent \d+$/m, stderr);
    assert.deepEqual(heard, []);
    // the stack is none the worse for it
    const good = await box.dugout([
      "run",
      "-q",
      "--rm",
      "--network",
      "one",
      BUSYBOX,
      "ping",
      "-c1",
      "-W3",
      "10.131.0.1",
    ]);
    assert.equal(good.code, 0);
    for (const socket of datagrams) socket.close();
    for (const server of servers) server.close();
  },
);

alone("A-053 nothing but the name server listens at the gateway", async (box) => {
  const scan = `
use Socket; use IO::Socket::INET; my @open;
for my $port (1 .. 3000, 8080, 9090, 65535) {
  push @open, $port if IO::Socket::INET->new(Proto => "tcp", PeerAddr => "10.131.0.1", PeerPort => $port, Timeout => 2);
}
print "@open\\n";`;
  assert.equal((await perl(box, [], scan)).stdout, "53\n");
});
