import { test } from "node:test";
import assert from "node:assert/strict";
import type { DugoutError } from "#oci/error.ts";
import type { Endpoint, LinkState } from "./link_file.ts";
import type { Network } from "./network_file.ts";
import { reserveAddresses } from "./reserve.ts";

const NETWORK: Network = {
  id: "0".repeat(64),
  name: "mine",
  created: "",
  internal: false,
  attachable: false,
  ipv4: { subnet: "10.5.0.0/29", gateway: "10.5.0.1", range: null, reserved: [["router", "10.5.0.3"]] },
  ipv6: null,
  mtu: 1500,
  bridge: "br-0",
  hostLoopback: null,
  labels: [],
  options: [],
};
const NOTHING = { ipv4: undefined, ipv6: undefined, mac: undefined };

function at(ipv4: string): Endpoint {
  const starter = { pid: 1, startTime: "1" };
  return {
    container: ipv4,
    name: ipv4,
    aliases: [],
    ports: [],
    egress: [],
    ipv4,
    ipv6: undefined,
    mac: "02:42:00:00:00:09",
    link: "eth0",
    index: 100,
    port: "v0",
    portIndex: 1,
    starter,
  };
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as DugoutError).code;
  }
  return "none";
}

test("addresses are given one after the other, never those of the gateway, the network, or somebody else", () => {
  const endpoints: Endpoint[] = [];
  let last: LinkState["last"] = {};
  const given: string[] = [];
  for (let count = 0; count < 4; count++) {
    const { ipv4, mac } = reserveAddresses(NETWORK, endpoints, last, NOTHING);
    given.push(ipv4!);
    assert.match(mac, /^02:42:0a:05:00:0[0-9]$/);
    endpoints.push(at(ipv4!));
    last = { ipv4: ipv4! };
  }
  assert.deepEqual(given, ["10.5.0.2", "10.5.0.4", "10.5.0.5", "10.5.0.6"]);
  assert.equal(refusal(() => reserveAddresses(NETWORK, endpoints, last, NOTHING)), "NETWORK_FULL");
});

test("an address that was given back is not given again before the others", () => {
  assert.equal(reserveAddresses(NETWORK, [], { ipv4: "10.5.0.2" }, NOTHING).ipv4, "10.5.0.4");
  assert.equal(reserveAddresses(NETWORK, [], { ipv4: "10.5.0.6" }, NOTHING).ipv4, "10.5.0.2");
});

test("an address that is asked for must be free, and one that a host can have", () => {
  const ask = (ipv4: string) => () => reserveAddresses(NETWORK, [at("10.5.0.4")], {}, { ...NOTHING, ipv4 });
  assert.equal(ask("10.5.0.6")().ipv4, "10.5.0.6");
  assert.equal(refusal(ask("10.5.0.4")), "ADDRESS_IN_USE");
  for (const text of ["10.5.0.0", "10.5.0.7", "10.5.0.1", "10.6.0.2"]) {
    assert.equal(refusal(ask(text)), "ADDRESS_INVALID", text);
  }
  assert.equal(refusal(() => reserveAddresses(NETWORK, [], {}, { ...NOTHING, ipv6: "fd00::5" })), "ADDRESS_INVALID");
  assert.equal(
    refusal(() => reserveAddresses(NETWORK, [at("10.5.0.4")], {}, { ...NOTHING, mac: "02:42:00:00:00:09" })),
    "MAC_IN_USE",
  );
});

test("addresses come from the range that was named", () => {
  const ipv4 = { subnet: "10.5.0.0/16", gateway: "10.5.0.1", range: "10.5.9.0/30", reserved: [] };
  const network = { ...NETWORK, ipv4 };
  const given: string[] = [];
  let last: LinkState["last"] = {};
  for (let count = 0; count < 4; count++) {
    const { ipv4: text } = reserveAddresses(network, given.map(at), last, NOTHING);
    given.push(text!);
    last = { ipv4: text! };
  }
  assert.deepEqual(given, ["10.5.9.0", "10.5.9.1", "10.5.9.2", "10.5.9.3"]);
});
