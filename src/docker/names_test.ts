import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { parseCapabilityName } from "./capability_names.ts";
import { parseDetachKeys } from "./detach_keys.ts";
import { parseHealthRetries, parseHealthTime } from "./health.ts";
import { checkLogRequest, parseLogDriver, parseLogOption } from "./log_options.ts";
import * as names from "./names.ts";
import { parseRestartPolicy } from "./restart.ts";

function refuses(parse: (text: string) => unknown, ...texts: string[]): void {
  for (const text of texts) assert.throws(() => parse(text), DugoutError, text);
}

test("names of containers", () => {
  assert.equal(names.parseContainerName("web-1.x_y"), "web-1.x_y");
  assert.equal(names.parseContainerName("/web"), "web");
  refuses(names.parseContainerName, "", "a", "-a", ".a", "a b", "a/b", "../x", "a\n", "é1", "a".repeat(256), "//a");
});

test("streams, pull policies, signals", () => {
  assert.equal(names.parseAttach("STDOUT"), "stdout");
  refuses(names.parseAttach, "", "out", "stdin,stdout");
  assert.equal(names.parsePullPolicy("always"), "always");
  assert.equal(names.parsePullPolicy(""), "missing");
  refuses(names.parsePullPolicy, "Always", "newer", "x");
  assert.equal(names.parseStopSignal("SIGINT"), 2);
  assert.equal(names.parseStopSignal("RTMIN+3"), 37);
  refuses(names.parseStopSignal, "", "0", "65", "SIGNOT");
});

test("C-024 a working directory is absolute and cleaned", () => {
  assert.equal(names.parseWorkingDir("/../../../../made-here"), "/made-here");
  assert.equal(names.parseWorkingDir("/a/./b//c/.."), "/a/b");
  refuses(names.parseWorkingDir, "", "a", "./a", "/a\0");
});

test("users and groups are text without controls", () => {
  assert.equal(names.parseUserText("1000:1000", "--user"), "1000:1000");
  assert.equal(names.parseUserText("", "--user"), "");
  refuses((text) => names.parseUserText(text, "--user"), "a\nb", "a\0", "x".repeat(601));
  refuses((text) => names.parseUserText(text, "--group-add"), "", "a:b");
});

test("volumes of another container, and root directories", () => {
  assert.deepEqual(names.parseVolumesFrom("web"), { container: "web", readOnly: undefined });
  assert.deepEqual(names.parseVolumesFrom("web:ro"), { container: "web", readOnly: true });
  assert.deepEqual(names.parseVolumesFrom("web:rw,z"), { container: "web", readOnly: false });
  refuses(names.parseVolumesFrom, "", ":ro", "web:", "web:x", "a b");
  const absolute = (path: string): string => `/here/${path}`;
  assert.deepEqual(names.parseRootfs("/:O", absolute), { path: "/", overlay: true });
  assert.deepEqual(names.parseRootfs("sub/..", absolute), { path: "/here", overlay: false });
  refuses((text) => names.parseRootfs(text, absolute), "", ":O", "/a\0");
});

test("capabilities get their prefix", () => {
  assert.equal(parseCapabilityName("net_admin", "--cap-add"), "CAP_NET_ADMIN");
  assert.equal(parseCapabilityName("CAP_CHOWN", "--cap-drop"), "CAP_CHOWN");
  assert.equal(parseCapabilityName("all", "--cap-drop"), "ALL");
  refuses((text) => parseCapabilityName(text, "--cap-add"), "", "NET", "CAP_", "net-admin");
});

test("keys that detach", () => {
  assert.deepEqual(parseDetachKeys("ctrl-p,ctrl-q"), [16, 17]);
  assert.deepEqual(parseDetachKeys("a,CTRL-@,ctrl-\\,ctrl-[,~"), [97, 0, 28, 27, 126]);
  assert.deepEqual(parseDetachKeys(""), []);
  refuses(parseDetachKeys, ",", "ab", "ctrl-", "ctrl-1", "ctrl-pp", "é", "\x01", "a,".repeat(1000));
});

test("health checks: a millisecond at least", () => {
  assert.equal(parseHealthTime("--health-interval", "30s"), 30e9);
  assert.equal(parseHealthTime("--health-interval", "0"), undefined);
  refuses((text) => parseHealthTime("--health-timeout", text), "", "30", "1us", "-1s");
  assert.equal(parseHealthRetries("3"), 3);
  assert.equal(parseHealthRetries("0"), undefined);
  refuses(parseHealthRetries, "", "-1", "x", "1.5");
});

test("restart policies", () => {
  assert.deepEqual(parseRestartPolicy("no"), { kind: "no" });
  assert.deepEqual(parseRestartPolicy("always"), { kind: "always" });
  assert.deepEqual(parseRestartPolicy("on-failure"), { kind: "on-failure", maxRetries: 0 });
  assert.deepEqual(parseRestartPolicy("on-failure:5"), { kind: "on-failure", maxRetries: 5 });
  refuses(parseRestartPolicy, "never", "always:5", "on-failure:", "on-failure:-1", "on-failure:x", "NO");
});

test("log drivers and their options", () => {
  assert.equal(parseLogDriver("none"), "none");
  assert.equal(parseLogDriver(""), "json-file");
  refuses(parseLogDriver, "fluentd", "journald", "x");
  assert.deepEqual(parseLogOption("max-size=10m"), ["max-size", "10m"]);
  assert.deepEqual(parseLogOption("tag={{.Name}}"), ["tag", "{{.Name}}"]);
  refuses(
    parseLogOption,
    "",
    "max-size",
    "max-size=x",
    "max-file=0",
    "compress=maybe",
    "nosuch=1",
    "__proto__=1",
    "env-regex=.*",
  );
  assert.throws(() => checkLogRequest({ driver: "none", options: new Map([["tag", "x"]]) }), DugoutError);
  assert.throws(
    () => checkLogRequest({ driver: "local", options: new Map([["max-size", "-1"], ["max-file", "2"]]) }),
    DugoutError,
  );
  checkLogRequest({ driver: "local", options: new Map([["max-size", "1m"], ["max-file", "2"]]) });
});
