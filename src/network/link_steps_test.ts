import { test } from "node:test";
import assert from "node:assert/strict";
import { HOST_ARCH } from "#linux/arch.ts";
import { encodeTape } from "#tape/encode.ts";
import { printTape } from "#tape/print.ts";
import { step, type Tape } from "#tape/step.ts";
import { findUnsetResults } from "#tape/unset.ts";
import { expectGolden } from "../../tests/support/golden.ts";
import { planAttachment } from "./attachment.ts";
import { type Holder, planHolder } from "./holder.ts";
import { bridgeSteps, joinSharedSteps } from "./link_steps.ts";
import type { Network } from "./network_file.ts";
import { Netlink, NETLINK_BUFFERS } from "./netlink_steps.ts";
import { CONTAINER_NETWORK } from "#runtime/attach_steps.ts";

const RANGE = [{ inside: 0, outside: 1000, count: 1 }];
const MAP = { uid: RANGE, gid: RANGE };
const HOLDER: Holder = { pid: 7, startTime: "1", bootId: "", map: MAP };
const NETWORK: Network = {
  id: "0".repeat(64),
  name: "mine",
  created: "",
  internal: false,
  attachable: false,
  ipv4: { subnet: "10.5.0.0/24", gateway: "10.5.0.1", range: null, reserved: [] },
  ipv6: { subnet: "fd00::/64", gateway: "fd00::1", range: null, reserved: [] },
  mtu: 1500,
  bridge: "br-0",
  hostLoopback: null,
  labels: [],
  options: [],
};
const ENDPOINT = {
  container: "c",
  name: "web",
  aliases: [],
  ports: [],
  egress: [],
  ipv4: "10.5.0.2",
  ipv6: "fd00::2",
  mac: "02:42:0a:05:00:02",
  link: "eth0",
  index: 100,
  port: "v012345678901",
  portIndex: 0x1000000,
  starter: { pid: 1, startTime: "1" },
};

const LINK = { network: NETWORK, bridge: "br-0", bridgeIndex: 1_000_000, endpoints: [], last: {} };

function check(tape: Tape, golden: string): void {
  assert.deepEqual(findUnsetResults(tape), []);
  encodeTape(tape, HOST_ARCH);
  expectGolden(golden, printTape(tape).join("\n"));
}

test("the holder's tape is the one that was reviewed", () => check(planHolder(MAP), "tapes/network_holder.txt"));

test("the tape that makes a bridge is the one that was reviewed", () => {
  const netlink = new Netlink("shared netlink");
  const steps = [...joinSharedSteps(HOLDER), ...netlink.open(), ...bridgeSteps(netlink, LINK)];
  check({ steps, buffers: new Map(NETLINK_BUFFERS), errorFd: 4 }, "tapes/network_bridge.txt");
});

test("a container's links are made outside and set up inside, as it was reviewed", () => {
  const { outside, inside, buffers } = planAttachment(HOLDER, MAP, [
    { network: NETWORK, endpoint: ENDPOINT, bridgeIndex: 1_000_000 },
    {
      network: { ...NETWORK, internal: true, ipv6: null },
      endpoint: { ...ENDPOINT, link: "eth1", index: 101, ipv6: undefined },
      bridgeIndex: 1_000_001,
    },
  ]);
  const steps = [step("getpid", [], "have", "a namespace", { id: CONTAINER_NETWORK }), ...outside, ...inside];
  check({ steps, buffers: new Map(buffers), errorFd: 4 }, "tapes/network_links.txt");
});
