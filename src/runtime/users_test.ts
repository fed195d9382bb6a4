import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { MAX_ACCOUNT_FILE_BYTES, type ResolvedUser, resolveUser, type UserRequest } from "./users.ts";
import { seededRandom } from "../../tests/support/random.ts";

const PASSWD = `# a comment
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
alice:x:1000:1000:Alice,,,:/home/alice:/bin/bash
nohome:x:1001:1001:::
`;
const GROUP = `root:x:0:
www-data:x:33:
alice:x:1000:
audio:x:29:alice,daemon
video:x:44:bob,alice
empty:x:50:
`;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function resolve(
  user: string | undefined,
  more: Partial<Record<"passwd" | "group", string>> & Partial<Pick<UserRequest, "groupAdd">> = {},
): ResolvedUser {
  return resolveUser({
    user,
    groupAdd: more.groupAdd ?? [],
    passwd: bytes(more.passwd ?? PASSWD),
    group: bytes(more.group ?? GROUP),
  });
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof DugoutError);
    return error.code;
  }
  return "none";
}

test("a name brings its number, group, home and supplementary groups", () => {
  assert.deepEqual(resolve("alice"), {
    uid: 1000,
    gid: 1000,
    additionalGids: [1000, 29, 44],
    home: "/home/alice",
    name: "alice",
  });
});

test("no user is root", () => {
  for (const user of [undefined, "", "0", "root", ":"]) {
    assert.deepEqual(resolve(user), { uid: 0, gid: 0, additionalGids: [0], home: "/root", name: "root" });
  }
});

test("a number that passwd has brings the same as its name", () => {
  assert.deepEqual(resolve("1000"), resolve("alice"));
});

test("a group that is asked for stands alone", () => {
  assert.deepEqual(resolve("alice:audio").additionalGids, [29]);
  assert.equal(resolve("alice:audio").gid, 29);
  assert.equal(resolve("alice:77").gid, 77);
  assert.equal(resolve("1000:0").gid, 0);
  assert.equal(resolve(":29").uid, 0);
  assert.equal(resolve(":29").gid, 29);
  assert.deepEqual(resolve("alice:"), resolve("alice"));
});

test("C-019 a number without an entry has gid 0 and no other group", () => {
  assert.deepEqual(resolve("123456"), { uid: 123456, gid: 0, additionalGids: [0], home: "/", name: undefined });
});

test("C-020 an image without passwd and group runs by number", () => {
  const bare = { groupAdd: [], passwd: undefined, group: undefined };
  assert.deepEqual(resolveUser({ user: "1000", ...bare }), {
    uid: 1000,
    gid: 0,
    additionalGids: [0],
    home: "/",
    name: undefined,
  });
  assert.deepEqual(resolveUser({ user: "0:0", ...bare }).home, "/root");
  assert.equal(codeOf(() => resolveUser({ user: "root", ...bare })), "USER_NOT_FOUND");
  assert.equal(codeOf(() => resolveUser({ user: "0:root", ...bare })), "GROUP_NOT_FOUND");
});

test("A-033 digits are a number, also where the image's passwd has an account of that name", () => {
  const passwd = "1000:x:0:0::/root:/bin/sh\n4294967296:x:0:0::/:\n007:x:0:0::/:\n" + PASSWD;
  assert.equal(resolve("1000", { passwd }).uid, 1000);
  assert.equal(resolve("007", { passwd }).uid, 7);
  assert.equal(resolve("00", { passwd }).uid, 0);
  assert.equal(codeOf(() => resolve("4294967296", { passwd })), "USER_INVALID");
});

test("A-033 spellings of numbers: in range as they stand, all others refused", () => {
  const good: [string, number][] = [
    ["0", 0],
    ["00", 0],
    ["0000000000000000000000000000001", 1],
    ["1000", 1000],
    ["2147483647", 2147483647],
    ["2147483648", 2147483648],
    ["4294967294", 4294967294],
  ];
  for (const [text, uid] of good) assert.equal(resolve(text).uid, uid, text);
  const bad = [
    "4294967295",
    "4294967296",
    "18446744073709551617",
    "9".repeat(250),
    "+1",
    "-1",
    "-0",
    "+0",
    " 1",
    "1 ",
    "1e3",
  ]
    .concat([
      "1E3",
      "0x0",
      "0X10",
      "0b1",
      "0o7",
      "1.0",
      ".5",
      "1_000x y",
      "１",
      "٣",
      "१२",
      "1\n",
      "\t1",
      "1\0",
      "1,2",
      "1/2",
      "--",
    ]);
  const hostile = bad.map((name) => `${name}:x:0:0::/:`).join("\n") + "\n" + PASSWD;
  for (const text of bad) {
    for (const passwd of [PASSWD, hostile]) {
      assert.equal(codeOf(() => resolve(text, { passwd })), "USER_INVALID", text);
      assert.equal(codeOf(() => resolve(`0:${text}`, { passwd })), "USER_INVALID", text);
      assert.equal(codeOf(() => resolve("0", { passwd, groupAdd: [text] })), "USER_INVALID", text);
    }
  }
});

test("A-033 an account whose numbers are out of range is none", () => {
  const lines = [
    "bad:x:4294967296:0::/:",
    "bad:x:-1:0::/:",
    "bad:x::0::/:",
    "bad:x:0x0:0::/:",
    "bad:x:0:4294967295::/:",
    "bad",
  ];
  for (const line of lines) assert.equal(codeOf(() => resolve("bad", { passwd: line })), "USER_NOT_FOUND", line);
});

test("A-034 the primary group is among the supplementary ones, each group once", () => {
  const group = GROUP + "audio2:x:29:alice\nprimary:x:1000:alice\n";
  const { additionalGids } = resolve("alice", { group, groupAdd: ["44", "video", "empty", "7", "keep-groups", "007"] });
  assert.deepEqual(additionalGids, [1000, 29, 44, 50, 7]);
  assert.equal(codeOf(() => resolve("alice", { groupAdd: ["nosuch"] })), "GROUP_NOT_FOUND");
  assert.equal(codeOf(() => resolve("alice", { groupAdd: [""] })), "USER_INVALID");
});

test("names are matched whole and as they are", () => {
  for (const user of ["Alice", "alic", "alicex", "__proto__", "constructor"]) {
    assert.equal(codeOf(() => resolve(user)), "USER_NOT_FOUND", user);
  }
  for (const user of ["alice ", "al\nice", "alice:audio:video", "a/b", "alice\u0085"]) {
    assert.equal(codeOf(() => resolve(user)), "USER_INVALID", user);
  }
  // a member list is not searched by substring
  assert.deepEqual(
    resolve("ann", { passwd: "ann:x:5:5::/:", group: "g:x:9:joann,annie\nh:x:10:x,ann\n" }).additionalGids,
    [5, 10],
  );
});

test("a home that is no absolute path, or not there, is /", () => {
  assert.equal(resolve("nohome").home, "/");
  assert.equal(resolve("x", { passwd: "x:x:5:5::home:/bin/sh" }).home, "/");
  assert.equal(resolve("root", { passwd: "root:x:0:0:::/bin/sh" }).home, "/root");
});

test("a line with a NUL is no account", () => {
  assert.equal(codeOf(() => resolve("x", { passwd: "x:x:5:5::/ho\0me:/bin/sh" })), "USER_NOT_FOUND");
});

test("files beyond the limit are refused, those within it take linear time", () => {
  const line = "name:x:5:5:gecos:/home:/bin/sh\n";
  const big = line.repeat(Math.floor(MAX_ACCOUNT_FILE_BYTES / line.length));
  assert.equal(codeOf(() => resolve("nosuch", { passwd: big })), "USER_NOT_FOUND");
  assert.equal(codeOf(() => resolve("0", { passwd: big + line.repeat(10) })), "ACCOUNTS_TOO_LARGE");
  assert.equal(codeOf(() => resolve("nosuch", { passwd: ":".repeat(1_000_000) })), "USER_NOT_FOUND");
  assert.equal(resolve("alice", { group: "g:x:9:" + "alice,".repeat(200_000) }).additionalGids[1], 9);
});

test("whatever the bytes, a user is resolved or refused by its own error", () => {
  const next = seededRandom(7).below;
  const alphabet = ["root", "alice", ":", ":", ":", "\n", "\n", "0", "1000", ",", "#", "\0", "-", "x", "\r", "é"];
  for (let round = 0; round < 3000; round++) {
    const text = (): string => Array.from({ length: next(40) }, () => alphabet[next(alphabet.length)]).join("");
    const noise = Uint8Array.from({ length: next(30) }, () => next(256));
    try {
      const user = resolveUser({ user: text().slice(0, 12), groupAdd: [], passwd: bytes(text()), group: noise });
      assert.ok(user.uid >= 0 && user.uid <= 4294967294 && user.additionalGids[0] === user.gid);
    } catch (error) {
      assert.ok(error instanceof DugoutError);
    }
  }
});
