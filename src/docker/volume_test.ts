import { test } from "node:test";
import assert from "node:assert/strict";
import { seededRandom } from "../../tests/support/random.ts";
import { DugoutError } from "#oci/error.ts";
import { parseVolume } from "./volume.ts";

const parse = (text: string): ReturnType<typeof parseVolume> => parseVolume(text, (path) => `/here/${path}`);

test("a path is a bind, a name is a volume, a target alone is a volume without a name", () => {
  assert.deepEqual(parse("/src:/dst"), {
    kind: "bind",
    source: "/src",
    target: "/dst",
    readOnly: false,
    readOnlyDepth: "if-possible",
    recursive: true,
    propagation: "rprivate",
    createSource: true,
    relabel: undefined,
  });
  assert.deepEqual(parse("data:/dst"), {
    kind: "volume",
    name: "data",
    target: "/dst",
    readOnly: false,
    noCopy: false,
    subpath: undefined,
    driver: "local",
    driverOptions: new Map(),
    labels: new Map(),
  });
  const anonymous = parse("/dst");
  assert.ok(anonymous.kind === "volume" && anonymous.name === undefined && anonymous.target === "/dst");
});

test("options are read, in any order", () => {
  const bind = parse("/src:/dst:Z,ro,rslave");
  assert.ok(bind.kind === "bind");
  assert.deepEqual([bind.readOnly, bind.relabel, bind.propagation], [true, "private", "rslave"]);
  const shared = parse("/src:/dst:z,rw,rshared,cached");
  assert.ok(shared.kind === "bind");
  assert.deepEqual([shared.readOnly, shared.relabel, shared.propagation], [false, "shared", "rshared"]);
  const volume = parse("data:/dst:nocopy,ro");
  assert.ok(volume.kind === "volume" && volume.noCopy && volume.readOnly);
});

test("a source from the current directory becomes absolute, paths are cleaned", () => {
  const sourceOf = (text: string): string => {
    const mount = parse(text);
    return mount.kind === "bind" ? mount.source : "";
  };
  assert.equal(sourceOf(".:/dst"), "/here");
  assert.equal(sourceOf("./a/../b:/dst"), "/here/b");
  assert.equal(sourceOf("..:/dst"), "/");
  assert.equal(sourceOf("/:/dst"), "/");
  assert.equal(parse("/src//a/.:/x/../dst/").target, "/dst");
});

test("what cannot be meant is refused, with the reason", () => {
  const bad: [string, RegExp][] = [
    ["", /target is empty/],
    [":", /target is empty/],
    [":/dst", /source is empty/],
    ["/src:", /target is empty/],
    ["/src:dst", /not an absolute path/],
    ["/src:/", /cannot be the root/],
    ["/src:/a/..", /cannot be the root/],
    ["dst", /not an absolute path/],
    ["a/b:/dst", /neither an absolute path nor a name/],
    ["v:/dst", /two characters/],
    ["C:\\src:/dst", /not an absolute path/],
    [".hidden:/dst", /letters, digits/],
    ["~/src:/dst", /neither/],
    ["/src:/dst:ro:rw", /more than SOURCE/],
    ["/src:/dst:", /no option ""/],
    ["/src:/dst:ro,", /no option ""/],
    ["/src:/dst:rx", /no option "rx"/],
    ["/src:/dst:ro,rw", /more than one option says the mode/],
    ["/src:/dst:z,Z", /says the label/],
    ["/src:/dst:private,rslave", /says the propagation/],
    ["/src:/dst:U", /another owner/],
    ["/src:/dst:O", /overlays/],
    ["/src:/dst:nocopy", /for named volumes/],
    ["data:/dst:rslave", /for directories of the host/],
    ["/src:/d\0st", /NUL/],
    ["/" + "a".repeat(5000) + ":/dst", /no usable path/],
  ];
  for (const [text, message] of bad) assert.throws(() => parse(text), message, JSON.stringify(text).slice(0, 60));
});

test("whatever the text, a volume is read or refused by its own error", () => {
  const random = seededRandom(31).fraction;
  const pieces = [
    ":",
    ":",
    "/",
    "/a",
    "name",
    "ro",
    "rw",
    ",",
    "z",
    "nocopy",
    "..",
    ".",
    "\0",
    "\n",
    "é",
    "__proto__",
    "rslave",
  ];
  for (let round = 0; round < 5000; round++) {
    const text = Array.from({ length: Math.floor(random() * 10) }, () => pieces[Math.floor(random() * pieces.length)])
      .join("");
    try {
      const { target } = parse(text);
      assert.ok(target.startsWith("/") && target !== "/" && !target.includes("/../") && !target.includes("\0"));
    } catch (error) {
      assert.ok(error instanceof DugoutError, text);
    }
  }
  const start = ":,".repeat(50_000);
  assert.throws(() => parse(start), DugoutError);
  assert.throws(() => parse("/a:/b:" + "ro,".repeat(50_000)), DugoutError);
});
