import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import type { JsonObject, JsonValue } from "#oci/json.ts";
import { readRun } from "./read_run.ts";
import { decodeRequest, encodeRequest } from "./request_codec.ts";
import { newRunOptions, newRunRequest, type RunRequest } from "./run_request.ts";

function throughJson(value: JsonValue): JsonValue {
  return JSON.parse(JSON.stringify(value)) as JsonValue;
}

/** Flags that fill as many fields as one command line can. */
const FLAGS = new Map<string, boolean | string | string[]>([
  ["env", ["A=1", "__proto__=2"]],
  ["label", ["__proto__=x", "a=b"]],
  ["volume", ["/host:/in:ro", "name:/data:nocopy", "/anonymous"]],
  ["mount", ["type=image,source=busybox,target=/image", "type=tmpfs,target=/tmp,tmpfs-size=1m"]],
  ["tmpfs", ["/run:mode=755"]],
  ["ulimit", ["nofile=100:200", "core=-1"]],
  ["user", "1:2"],
  ["network", ["none"]],
  ["pid", "host"],
  ["uts", "container:other"],
  ["userns", "keep-id:uid=5,gid=6"],
  ["sysctl", ["net.ipv4.ip_forward=1"]],
  ["security-opt", ["no-new-privileges", "mask=/proc/a"]],
  ["device", ["/dev/null:/dev/other:r"]],
  ["volumes-from", ["one:ro"]],
  ["stop-signal", "INT"],
  ["stop-timeout", "-1"],
  ["init", true],
  ["interactive", true],
  ["attach", ["stdin", "stderr"]],
  ["rm", true],
]);

test("a request that was encoded and decoded is the same, with its Maps and its numbers of 64 bits", () => {
  const context = {
    makeAbsolute: (path: string) => path,
    lookUp: () => undefined,
    environment: () => [],
    readFile: () => new Uint8Array(),
  };
  const read = readRun(FLAGS, ["image", "sh", "-c", "true"], context);
  const kept = decodeRequest(throughJson(encodeRequest(read.request, read.options)));
  assert.deepEqual(kept.request, read.request);
  assert.deepEqual({ ...read.options, ...kept.options }, read.options);
  assert.ok(kept.request.labels instanceof Map);
});

test("a request that asks for nothing is the same too, and every kind of log and restart", () => {
  const plain = newRunRequest(undefined);
  const options = { ...newRunOptions(), rootfs: { path: "/root", overlay: true } };
  const requests: RunRequest[] = [
    plain,
    {
      ...plain,
      dns: { servers: ["10.0.0.1"], search: ["."], options: [] },
      extraHosts: [{ name: "a", address: "1.2.3.4" }, { name: "gate", address: { kind: "host-gateway" } }],
    },
    {
      ...plain,
      restart: { kind: "on-failure", maxRetries: 3 },
      log: { driver: "local", options: new Map([["a", "b"]]) },
    },
    { ...plain, health: { kind: "none" }, security: { ...plain.security, unmask: "all", seccomp: { text: "{}" } } },
  ];
  for (const request of requests) {
    const kept = decodeRequest(throughJson(encodeRequest(request, options)));
    assert.deepEqual(kept.request, request);
    assert.deepEqual(kept.options.rootfs, options.rootfs);
  }
});

test("a damaged record of a request is refused with the field that is wrong", () => {
  const good = throughJson(encodeRequest(newRunRequest("image"), newRunOptions())) as JsonObject;
  const request = good["request"] as JsonObject;
  const damaged: [JsonValue, RegExp][] = [
    [null, /record of a container/],
    [{ ...good, more: 1 }, /more/],
    [{ ...good, request: { ...request, env: "A=1" } }, /request\.env/],
    [{ ...good, request: { ...request, network: { kind: "moon" } } }, /request\.network/],
    [{ ...good, request: { ...request, ulimits: [{ name: "nofile", soft: "x", hard: "1" }] } }, /ulimits/],
    [{ ...good, request: { ...request, labels: [["a"]] } }, /labels/],
  ];
  for (const [value, pattern] of damaged) {
    assert.throws(() => decodeRequest(value), (error: unknown) => {
      assert.ok(error instanceof DugoutError);
      assert.equal(error.code, "REQUEST_INVALID");
      assert.match(error.message, pattern);
      return true;
    });
  }
});
