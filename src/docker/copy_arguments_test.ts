import assert from "node:assert/strict";
import test from "node:test";
import { cleanCopyPath, parseCopy } from "./copy_arguments.ts";

test("what begins with a slash or a dot, or has no colon, is of this machine", () => {
  for (
    const [text, path] of [["/a:b", "/a:b"], ["./a:b", "/here/a:b"], ["a/b", "/here/a/b"], ["../x/", "/x/"]] as const
  ) {
    assert.deepEqual(parseCopy(text, "c:/d", "/here"), {
      way: "in",
      name: "c",
      path: "/d",
      from: { kind: "path", path },
    });
  }
  assert.deepEqual(parseCopy("c:etc/./x/.", "-", "/here"), {
    way: "out",
    name: "c",
    path: "/etc/x/.",
    to: { kind: "stream" },
  });
});

test("copies between two containers, or none, are refused in docker's words", () => {
  assert.throws(() => parseCopy("a:/x", "b:/y", "/"), /copying between containers is not supported/);
  assert.throws(() => parseCopy("x", "y", "/"), /must specify at least one container source/);
  assert.throws(() => parseCopy("", "b:/y", "/"), /source can not be empty/);
  assert.throws(() => parseCopy("a:/x", "", "/"), /destination can not be empty/);
});

test("the end of a path says what is meant, whatever is cleaned before it", () => {
  for (
    const [typed, clean] of [
      ["/a/../b/", "/b/"],
      ["/a//b/.", "/a/b/."],
      ["/", "/"],
      ["/.", "/"],
      ["/../..", "/"],
      ["/a/b/..", "/a"],
    ] as const
  ) assert.equal(cleanCopyPath(typed), clean);
});
