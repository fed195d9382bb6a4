import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { newRunRequest, type SecurityRequest } from "./run_request.ts";
import { applySecurityOption } from "./security_opt.ts";

function read(...options: string[]): SecurityRequest {
  const { security } = newRunRequest("x");
  const readFile = (path: string): Uint8Array => {
    if (path !== "/profile.json") throw new DugoutError("FILE", "no such file");
    return new TextEncoder().encode(`{"defaultAction":"SCMP_ACT_ALLOW"}`);
  };
  for (const option of options) applySecurityOption(security, option, readFile);
  return security;
}

test("each option changes one thing", () => {
  const nothing = read();
  assert.deepEqual(read("no-new-privileges"), { ...nothing, noNewPrivileges: true });
  assert.deepEqual(read("no-new-privileges:true"), { ...nothing, noNewPrivileges: true });
  assert.deepEqual(read("no-new-privileges=false"), nothing);
  assert.deepEqual(read("seccomp=unconfined"), { ...nothing, seccomp: "unconfined" });
  assert.deepEqual(read("seccomp:unconfined", "seccomp=builtin"), nothing);
  assert.deepEqual(read("seccomp=/profile.json"), {
    ...nothing,
    seccomp: { text: `{"defaultAction":"SCMP_ACT_ALLOW"}` },
  });
  assert.deepEqual(read('seccomp={"a":1}').seccomp, { text: '{"a":1}' });
  assert.deepEqual(read("apparmor=unconfined"), { ...nothing, apparmor: "unconfined" });
  assert.deepEqual(read("label=disable"), { ...nothing, label: "disable" });
  assert.deepEqual(read("label:disable"), { ...nothing, label: "disable" });
  assert.deepEqual(read("systempaths=unconfined"), { ...nothing, systemPaths: "unconfined" });
  assert.deepEqual(read("mask=/proc/a:/sys//b/").mask, ["/proc/a", "/sys/b"]);
  assert.deepEqual(read("unmask=/proc/a", "unmask=/proc/b").unmask, ["/proc/a", "/proc/b"]);
  assert.deepEqual(read("unmask=all", "unmask=/proc/b").unmask, "all");
  assert.deepEqual(read("writable-cgroups").writableCgroups, true);
});

test("what is no option, or cannot be had, is refused", () => {
  const bad = [
    "",
    "x",
    "seccomp",
    "seccomp=",
    "seccomp=/missing",
    "no-new-privileges=maybe",
    "systempaths=x",
    "mask=",
    "mask=proc",
    "mask=/",
  ]
    .concat(["unmask=/a:", "__proto__=1", "no-new-privileges "]);
  for (const text of bad) assert.throws(() => read(text), DugoutError, text);
  for (const text of ["apparmor=docker-default", "apparmor", "label=type:x", "label=user:y"]) {
    assert.throws(
      () => read(text),
      (error: unknown) => error instanceof DugoutError && error.code === "FLAG_REFUSED",
      text,
    );
  }
});
