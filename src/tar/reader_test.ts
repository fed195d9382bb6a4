import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { fromText } from "./bytes.ts";
import { makeEntry } from "./entry.ts";
import { TarError, type TarErrorCode } from "./error.ts";
import { BLOCK } from "./layout.ts";
import { concat, craftContent, craftHeader, craftPax, craftTar, randomEntry, readAll } from "./testing.ts";
import { encodeHeader, paddingFor, TRAILER } from "./write.ts";
import { seededRandom } from "../../tests/support/random.ts";

function octal(value: number, width = 12): string {
  return value.toString(8).padStart(width - 1, "0");
}

/** The code with which an archive of these parts is refused, or "read". */
function verdict(...parts: Uint8Array[]): TarErrorCode | "read" {
  try {
    readAll(concat(parts));
    return "read";
  } catch (error) {
    if (error instanceof TarError) return error.code;
    throw error;
  }
}

test("law: what the writer writes, the reader reads, in chunks of any size", () => {
  const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  const random = seededRandom(seed);
  for (let round = 0; round < 60; round++) {
    const entries = Array.from({ length: 1 + random.below(12) }, () => randomEntry(random));
    const contents = entries.map((entry) => random.bytes(entry.sizeBytes));
    const archive = concat([
      ...entries.flatMap((entry, i) => [encodeHeader(entry), contents[i]!, paddingFor(entry.sizeBytes)]),
      TRAILER,
    ]);
    const sizes = random.pick([[1 << 20], [1], [512], [511, 513], [7, 1000, 3], [1 + random.below(3000)]]);
    const seen = readAll(archive, sizes);
    assert.deepEqual(seen.map(({ entry }) => entry), entries, `SEED=${seed}`);
    seen.forEach(({ content }, i) => assert.ok(Buffer.compare(content, contents[i]!) === 0, `SEED=${seed}`));
  }
});

test("fuzz: whatever the bytes, the reader returns or throws its own error", () => {
  const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  const random = seededRandom(seed);
  const base = concat([
    craftPax([["path", "long/" + "n".repeat(120)], ["mtime", "1.5"], ["SCHILY.xattr.user.a", "v"]]),
    craftHeader({ size: octal(600) }),
    craftContent("x".repeat(600)),
    craftHeader({ name: "././@LongLink", type: "L", size: octal(150), magic: "ustar ", version: " \0" }),
    craftContent("l".repeat(149) + "\0"),
    craftHeader({ name: "short", type: "2", linkName: "target" }),
    craftPax([["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"], ["GNU.sparse.realsize", "9000"]]),
    craftHeader({ size: octal(512 + 10) }),
    craftContent(concat([craftContent("1\n4000\n10\n"), new Uint8Array(10)])),
    TRAILER,
  ]);
  assert.equal(verdict(base), "read");
  for (let round = 0; round < 3000; round++) {
    const bytes = random.below(10) === 0
      ? random.bytes(random.below(3000))
      : base.slice(0, random.pick([base.length, random.below(base.length)]));
    for (let i = random.below(6); i > 0; i--) {
      if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    }
    // Half of the time the checksums are made right again, so that the fields behind them are reached.
    if (random.below(2) === 0) {
      for (let at = 0; at + BLOCK <= bytes.length; at += BLOCK) {
        const block = Buffer.from(bytes.buffer, bytes.byteOffset + at, BLOCK);
        if (block.toString("latin1", 257, 262) !== "ustar") continue;
        block.fill(0x20, 148, 156);
        block.write(octal(block.reduce((sum, byte) => sum + byte, 0), 8), 148, "latin1");
      }
    }
    try {
      readAll(bytes, [1 + random.below(2000)]);
    } catch (error) {
      assert.ok(error instanceof TarError, `SEED=${seed}: ${error}`);
    }
  }
});

test("A-001 the pax size wins over the header's, and is for one entry only", () => {
  const inner = craftHeader({ name: "smuggled" });
  const told = (header: number, pax: number, content: Uint8Array) =>
    readAll(concat([craftPax([["size", String(pax)]]), craftHeader({ size: octal(header) }), content, TRAILER]))
      .map(({ entry }) => `${entry.path} ${entry.sizeBytes}`);
  assert.deepEqual(told(0, 512, inner), ["name 512"]);
  assert.deepEqual(told(1024, 512, inner), ["name 512"]);
  assert.deepEqual(told(512, 0, inner), ["name 0", "smuggled 0"]);
  const seen = readAll(concat([
    craftPax([["size", "512"]]),
    craftHeader({ name: "././@LongLink", type: "L", size: octal(5) }),
    craftContent("long\0"),
    craftHeader({ size: octal(0) }),
    inner,
    craftHeader({ name: "next", size: octal(0) }),
    TRAILER,
  ]));
  assert.deepEqual(seen.map(({ entry }) => `${entry.path} ${entry.sizeBytes}`), ["long 512", "next 0"]);
});

test("A-001 what readers disagree about is refused", () => {
  const sized = (type: string) => craftHeader({ type, size: octal(512), linkName: "t" });
  for (const type of ["2", "3", "4", "5", "6"]) {
    assert.equal(verdict(sized(type), sized("0"), TRAILER), "ambiguous", type);
  }
  assert.equal(verdict(sized("1"), TRAILER), "read"); // a hard link's size is no content to anybody
  assert.equal(verdict(craftPax([["size", "512"]]), sized("1"), TRAILER), "ambiguous");
  assert.equal(verdict(craftHeader({ name: "a/", type: "0" }), TRAILER), "ambiguous");
  assert.equal(verdict(craftHeader({ name: "a/", type: "\0" }), TRAILER), "read");
  assert.equal(verdict(new Uint8Array(BLOCK), craftHeader({}), TRAILER), "ambiguous");
  assert.equal(verdict(craftHeader({ prefix: "p", magic: "" }), TRAILER), "ambiguous");
  assert.equal(verdict(craftHeader({ prefix: "p", version: "" }), TRAILER), "ambiguous");
  const long = [craftHeader({ type: "L", size: octal(3) }), craftContent("ab\0")];
  assert.equal(verdict(...long, ...long, craftHeader({}), TRAILER), "ambiguous");
  assert.equal(verdict(craftPax([["path", "p"]]), ...long, craftHeader({}), TRAILER), "ambiguous");
  assert.equal(verdict(craftPax([["path", "p"]]), craftPax([["path", "q"]]), craftHeader({}), TRAILER), "ambiguous");
  assert.equal(verdict(craftPax([["path", "p"]]), TRAILER), "truncated");
  for (const key of ["path", "linkpath", "size"]) {
    assert.equal(verdict(craftPax([[key, "1"]], "g"), craftHeader({}), TRAILER), "pax", key);
  }
});

test("A-007 numbers outside of their field's meaning are refused, and every step advances", () => {
  const base256 = (bytes: number[], length: number) =>
    String.fromCharCode(...Array.from({ length: length - bytes.length }, (_, i) => i === 0 ? 0x80 : 0), ...bytes);
  const negative = (length: number) => "\xff".repeat(length);
  const cases: [Partial<Record<string, string>>, TarErrorCode | "read"][] = [
    [{ size: negative(12) }, "number"],
    [{ size: "junk" }, "number"],
    [{ size: "-0000000001" }, "number"],
    [{ size: base256([0x20, 0, 0, 0, 0, 0, 1], 12) }, "number"], // 9007199254740993
    [{ uid: base256([0xff, 0xff, 0xff, 0xff], 8) }, "number"],
    [{ uid: base256([0xff, 0xff, 0xff, 0xfe], 8) }, "read"],
    [{ gid: base256([1, 0, 0, 0, 0], 8) }, "number"],
    [{ gid: negative(8) }, "number"],
    [{ mode: negative(8) }, "number"],
    [{ mode: "0100644" }, "read"],
    [{ mtime: negative(12) }, "read"],
    [{ mtime: "x" }, "number"],
    [{ type: "3", deviceMajor: base256([1, 0, 0, 0, 0, 0], 8) }, "number"], // 2^40
    [{ type: "3", deviceMinor: "abc" }, "number"],
    [{ type: "0", deviceMinor: "abc" }, "read"],
    [{ type: "Z" }, "type"],
    [{ type: "\xff" }, "type"],
  ];
  for (const [fields, wanted] of cases) {
    assert.equal(verdict(craftHeader(fields), TRAILER), wanted, JSON.stringify(fields));
  }
  const records: [string, string, TarErrorCode | "read"][] = [];
  for (const value of ["-1", "1e9999", "NaN", "", " 1", "1.5", "0x10", "9007199254740993", "1".repeat(400)]) {
    for (const key of ["size", "uid", "gid"]) records.push([key, value, "pax"]);
  }
  records.push(["uid", "4294967294", "read"], ["uid", "4294967295", "pax"], ["gid", "4294967296", "pax"]);
  records.push(["mtime", "-1", "read"], ["mtime", "1.23456789012345678901", "read"], ["mtime", "1e300", "pax"]);
  records.push(["mtime", "inf", "pax"], ["mtime", "1e9999", "pax"], ["mtime", "", "pax"]);
  for (const [key, value, wanted] of records) {
    assert.equal(verdict(craftPax([[key, value]]), craftHeader({}), TRAILER), wanted, `${key}=${value}`);
  }
});

test("A-007 sparse maps that overlap, go back, or lie about sizes are refused", () => {
  const map01 = (map: string, realSize: string, packed: number) =>
    verdict(
      craftPax([["GNU.sparse.size", realSize], ["GNU.sparse.map", map]]),
      craftHeader({ size: octal(packed) }),
      craftContent(new Uint8Array(packed)),
      TRAILER,
    );
  assert.equal(map01("0,10,100,10", "200", 20), "read");
  assert.equal(map01("", "9000000000000000", 0), "read"); // storage has the limit on sizes
  for (
    const [map, size, packed] of [
      ["0,10,5,10", "200", 20],
      ["100,10,0,10", "200", 20],
      ["0,10,195,10", "200", 20],
      ["0,10", "200", 20],
      ["0,10,20", "200", 10],
      ["0,-10", "200", 0],
      ["0,9007199254740993", "200", 0],
      ["0,10", "9007199254740993", 10],
      ["9007199254740991,10", "9007199254740991", 10],
    ] as const
  ) assert.match(map01(map, size, packed), /sparse|pax/, map);
  const map10 = (map: string, packed: number) =>
    verdict(
      craftPax([["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"], ["GNU.sparse.realsize", "100"]]),
      craftHeader({ size: octal(packed) }),
      craftContent(concat([craftContent(map), new Uint8Array(5000)]).subarray(0, packed)),
      TRAILER,
    );
  assert.equal(map10("1\n5\n10\n", 522), "read");
  for (const map of ["", "x\n", "1\n5\n", "99999999\n", "-1\n", "1\n5\n10", "1".repeat(512), "\n".repeat(512)]) {
    assert.match(map10(map, 522), /sparse/, map);
  }
});

test("A-008 NUL, empty and oversized names are refused wherever they are given", () => {
  for (
    const [key, value] of [
      ["path", "safe\0../../x"],
      ["path", ""],
      ["path", "a".repeat(256)],
      ["path", "a/".repeat(2048) + "b"],
      ["linkpath", "t\0"],
      ["linkpath", ""],
      ["uname", "r\0t"],
      ["SCHILY.xattr.", "v"],
      ["SCHILY.xattr.user.a\0b", "v"],
      ["SCHILY.xattr." + "n".repeat(256), "v"],
      ["LIBARCHIVE.xattr.user.a%00b", "dg"],
      ["LIBARCHIVE.xattr.%4", "dg"],
      ["LIBARCHIVE.xattr.user.a", "?"],
      ["GNU.sparse.name", "a\0b"],
    ] as const
  ) {
    const type = key === "linkpath" ? "2" : "0";
    assert.notEqual(verdict(craftPax([[key, value]]), craftHeader({ type, linkName: "x" }), TRAILER), "read", key);
  }
  assert.equal(verdict(craftHeader({ name: "" }), TRAILER), "name");
  assert.equal(verdict(craftHeader({ type: "2", linkName: "" }), TRAILER), "name");
});

test("A-009 a name of 100,000 parts is refused by name, at once", () => {
  const name = "a/".repeat(100_000) + "b";
  const archive = concat([
    craftHeader({ name: "././@LongLink", type: "L", size: octal(name.length) }),
    craftContent(name),
    craftHeader({}),
    TRAILER,
  ]);
  assert.throws(() => readAll(archive), (error) => error instanceof TarError && /200001 bytes/.test(error.message));
});

test("A-010 what is no archive is refused", () => {
  assert.equal(verdict(), "empty");
  assert.equal(verdict(seededRandom(1).bytes(4096)), "checksum");
  assert.equal(verdict(craftHeader({}).subarray(0, 100)), "truncated");
  assert.equal(verdict(craftHeader({ size: octal(10_000_000) }), TRAILER), "truncated");
  assert.equal(verdict(craftHeader({}), craftHeader({ checksum: "0000001" })), "checksum");
  assert.equal(verdict(craftHeader({})), "read"); // an archive without its closing blocks is accepted
  assert.equal(verdict(new Uint8Array(BLOCK)), "read");
  assert.equal(verdict(TRAILER, seededRandom(1).bytes(4096)), "read"); // nothing after the end is looked at
  assert.equal(verdict(craftHeader({ type: "x", size: octal((1 << 20) + 1) })), "limit");
});

test("C-009 sparse files of the forms 0.0, 0.1, 1.0 and GNU's own have their real name, size and bytes", () => {
  const wanted = new Uint8Array(9000);
  wanted.fill(1, 1000, 1010);
  wanted.fill(2, 5000, 5600);
  const packed = concat([wanted.subarray(1000, 1010), wanted.subarray(5000, 5600)]);
  const stand = { name: "GNUSparseFile.1/real", size: octal(610) };
  const forms: Record<string, Uint8Array[]> = {
    "0.0": [
      craftPax([
        ["GNU.sparse.size", "9000"],
        ["GNU.sparse.numblocks", "2"],
        ["GNU.sparse.offset", "1000"],
        ["GNU.sparse.numbytes", "10"],
        ["GNU.sparse.offset", "5000"],
        ["GNU.sparse.numbytes", "600"],
      ]),
      craftHeader({ name: "real", size: octal(610) }),
      craftContent(packed),
    ],
    "0.1": [
      craftPax([
        ["GNU.sparse.size", "9000"],
        ["GNU.sparse.name", "real"],
        ["GNU.sparse.map", "1000,10,5000,600,9000,0"],
        ["path", "GNUSparseFile.1/real"],
      ]),
      craftHeader(stand),
      craftContent(packed),
    ],
    "1.0": [
      craftPax([
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.name", "real"],
        ["GNU.sparse.realsize", "9000"],
      ]),
      craftHeader({ ...stand, size: octal(512 + 610) }),
      craftContent(concat([craftContent("2\n1000\n10\n5000\n600\n"), packed])),
    ],
  };
  for (const [form, parts] of Object.entries(forms)) {
    for (const sizes of [[1 << 20], [1], [100]]) {
      const [seen, next] = readAll(concat([...parts, craftHeader({ name: "next" }), TRAILER]), sizes);
      assert.equal(seen!.entry.path, "real", form);
      assert.equal(seen!.entry.sizeBytes, 9000, form);
      assert.deepEqual(seen!.entry.sparse, [{ offset: 1000, length: 10 }, { offset: 5000, length: 600 }], form);
      assert.ok(Buffer.compare(seen!.content, wanted) === 0, form);
      assert.equal(next!.entry.path, "next", form);
    }
  }
});

test("extended headers: global ones hold for all that follow, an entry's own win over them", () => {
  const seen = readAll(concat([
    craftPax([["comment", "x"], ["uid", "5"], ["SCHILY.xattr.user.a", "1"]], "g"),
    craftPax([["uid", "6"], ["SCHILY.xattr.user.b", "2"], ["LIBARCHIVE.xattr.user.%62", "Mw"]]),
    craftHeader({ name: "one" }),
    craftHeader({ name: "two" }),
    TRAILER,
  ]));
  assert.deepEqual(seen.map(({ entry }) => [entry.uid, [...entry.xattrs.keys()]]), [
    [6, ["user.a", "user.b"]],
    [5, ["user.a"]],
  ]);
  assert.equal(String.fromCharCode(...seen[0]!.entry.xattrs.get(fromText("user.b"))!), "2");
});

test("a volume label is passed over, star's and POSIX' prefixes are joined, GNU's header has none", () => {
  const seen = readAll(concat([
    craftHeader({ name: "label", type: "V" }),
    craftHeader({ name: "a", prefix: "p" }),
    craftHeader({ name: "b", prefix: "p".repeat(131) + "00000000000 00000000000 ", trailer: "tar\0" }),
    craftHeader({ name: "c", prefix: "12345", magic: "ustar ", version: " \0" }),
    craftHeader({ name: "d", magic: "", version: "", userName: "root" }),
    TRAILER,
  ]));
  assert.deepEqual(seen.map(({ entry }) => entry.path), ["p/a", "p".repeat(131) + "/b", "c", "d"]);
  assert.equal(seen[3]!.entry.userName, "");
});

test("an error names the entry and the place in the archive", () => {
  const archive = concat([craftTar([["ok", "file"]]).subarray(0, 512), craftHeader({ name: "bad\x1b", size: "x" })]);
  assert.throws(() => readAll(archive), {
    name: "TarError",
    message: 'tar entry "bad\\u{1b}": the size in the header is no sensible number (at byte 512 of the archive)',
  });
});

test("the writer refuses what no format can hold", () => {
  const bad: [string, Partial<Parameters<typeof makeEntry>[2]>][] = [
    ["a", { mode: 0o10000 }],
    ["a", { uid: 2 ** 32 - 1 }],
    ["a", { gid: -1 }],
    ["a", { sizeBytes: 1.5 }],
    ["a", { mtimeSeconds: NaN }],
    ["a", { deviceMajor: 2 ** 21 }],
    ["a\0b", {}],
    ["", {}],
    ["a", { linkPath: fromText("b") }],
    ["a", { xattrs: new Map([[fromText("a=b"), new Uint8Array(0)]]) }],
  ];
  for (const [path, rest] of bad) {
    assert.throws(() => encodeHeader(makeEntry(fromText(path), "file", rest)), TarError, JSON.stringify(rest));
  }
});
