import test from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatIpAddress } from "../ip_address.ts";
import { followResolvConf } from "./resolv_conf_file.ts";

test("C-093 C-140 the file is followed through links, when it is replaced and when it is gone, once a second at most", () => {
  const directory = mkdtempSync(join(tmpdir(), "dugout-test-"));
  try {
    const [etc, run] = [join(directory, "etc"), join(directory, "run")];
    for (const path of [etc, run]) mkdirSync(path);
    writeFileSync(join(run, "one"), "nameserver 192.0.2.1\n");
    symlinkSync("../run/current", join(etc, "resolv.conf"));
    symlinkSync("one", join(run, "current"));
    const follow = followResolvConf(join(etc, "resolv.conf"));
    const servers = (nowMs: number) => follow(nowMs).servers.map(formatIpAddress);
    assert.deepEqual(servers(0), ["192.0.2.1"]);
    writeFileSync(join(run, "two"), "nameserver 192.0.2.22\nsearch corp.example\n");
    symlinkSync("two", join(run, "next"));
    renameSync(join(run, "next"), join(run, "current"));
    assert.deepEqual(servers(999), ["192.0.2.1"]);
    assert.deepEqual(servers(1000), ["192.0.2.22"]);
    assert.deepEqual(follow(1500).search, ["corp.example"]);
    writeFileSync(join(run, "two.new"), "nameserver 192.0.2.33\n");
    renameSync(join(run, "two.new"), join(run, "two"));
    assert.deepEqual(servers(2000), ["192.0.2.33"]);
    rmSync(join(run, "two"));
    assert.deepEqual(servers(3000), ["127.0.0.1"]);
    writeFileSync(join(run, "two"), "nameserver 192.0.2.44\n");
    assert.deepEqual(servers(4000), ["192.0.2.44"]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
