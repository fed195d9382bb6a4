import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { seededRandom } from "../../tests/support/random.ts";
import type { BindRequest, ImageMountRequest, TmpfsRequest, VolumeRequest } from "./run_request.ts";
import { parseMount } from "./mount.ts";
import { parseVolume } from "./volume.ts";

const absolute = (path: string): string => `/here/${path}`;
const parse = (text: string): ReturnType<typeof parseMount> => parseMount(text, absolute);
const bind = (rest: string): BindRequest => parse(`type=bind,source=/s,target=/t${rest}`) as BindRequest;
const volume = (rest: string): VolumeRequest => parse(`type=volume,target=/t${rest}`) as VolumeRequest;

test("a bind says what -v says, but does not make its source", () => {
  assert.deepEqual(bind(""), { ...parseVolume("/s:/t", absolute), createSource: false });
  assert.deepEqual(bind(",readonly"), { ...parseVolume("/s:/t:ro", absolute), createSource: false });
  assert.equal(bind(",bind-create-src").createSource, true);
});

test("keys have aliases, and come in any case and order", () => {
  const expected = bind(",readonly");
  const texts = [
    "type=bind,src=/s,dst=/t,ro",
    "destination=/t,Type=BIND,SOURCE=/s,readonly=true",
    "ro=1,target=/t,source=/s,type=bind",
  ];
  for (const text of texts) assert.deepEqual(parse(text), expected, text);
  assert.equal(bind(",readonly=false").readOnly, false);
  assert.equal(bind(",readonly=F").readOnly, false);
});

test("quotes keep commas", () => {
  assert.equal((parse('type=bind,"source=/a,b",target=/t') as BindRequest).source, "/a,b");
  assert.equal((parse('type=bind,"source=/a:b",target=/t') as BindRequest).source, "/a:b");
});

test("binds: propagation, recursion, relabelling, relative sources", () => {
  assert.equal(bind(",bind-propagation=rslave").propagation, "rslave");
  assert.equal(bind(",bind-nonrecursive").recursive, false);
  assert.equal(bind(",bind-nonrecursive=false").recursive, true);
  assert.equal(bind(",bind-recursive=disabled").recursive, false);
  assert.equal(bind(",bind-recursive=enabled").recursive, true);
  assert.equal(bind(",readonly,bind-recursive=writable").readOnlyDepth, "top");
  assert.equal(bind(",readonly,bind-recursive=readonly").readOnlyDepth, "required");
  assert.equal(bind(",relabel=shared").relabel, "shared");
  assert.equal(bind(",consistency=cached").source, "/s");
  assert.equal((parse("type=bind,source=./a,target=/t") as BindRequest).source, "/here/a");
});

test("volumes: the usual type, with or without a name, labels and options", () => {
  assert.deepEqual(parse("source=data,target=/t"), parseVolume("data:/t", absolute));
  assert.deepEqual(parse("target=/t"), parseVolume("/t", absolute));
  assert.deepEqual(parse("source=,target=/t"), parseVolume("/t", absolute));
  assert.equal(volume(",volume-nocopy").noCopy, true);
  assert.equal(volume(",volume-subpath=a/./b//c").subpath, "a/b/c");
  assert.deepEqual(volume(",volume-driver=local").driver, "local");
  const labelled = volume(",volume-label=a=b=c,volume-label=__proto__=x,volume-label=plain");
  assert.deepEqual([...labelled.labels], [["a", "b=c"], ["__proto__", "x"], ["plain", ""]]);
  const options = volume(',volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,uid=5"').driverOptions;
  assert.deepEqual([...options], [["type", "tmpfs"], ["device", "tmpfs"], ["o", "size=1m,uid=5"]]);
});

test("tmpfs and images", () => {
  const tmpfs = parse("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770,ro") as TmpfsRequest;
  assert.deepEqual([tmpfs.size, tmpfs.mode, tmpfs.readOnly, tmpfs.exec], [67108864, 0o1770, true, false]);
  assert.equal((parse("type=tmpfs,target=/t,tmpfs-size=0") as TmpfsRequest).size, undefined);
  const image = parse("type=image,source=debian:12,target=/t,image-subpath=usr/share,readonly") as ImageMountRequest;
  assert.deepEqual(image, { kind: "image", image: "debian:12", target: "/t", readOnly: true, subpath: "usr/share" });
});

test("what cannot be meant is refused, with the reason", () => {
  const bad: [string, RegExp][] = [
    ["", /not a list of key=value/],
    ["type=bind,source=/s", /target is missing/],
    ["type=bind,target=/t", /a bind needs a source/],
    ["type=bind,source=s,target=/t", /not an absolute path/],
    ["type=bind,source=/s,target=t", /target is not an absolute path/],
    ["type=bind,source=/s,target=/", /cannot be the root/],
    ["type=bind,source=/s,target=/t,", /no key ""/],
    ["type=bind,source=/s,target=/t,bogus=1", /no key "bogus"/],
    ["type=bind,source=/s,target=/t,source=/u", /"source" is given twice/],
    ["type=bind,source=/s,src=/u,target=/t", /"source" is given twice/],
    ["type=bind,source,target=/t", /"source" needs a value/],
    ["type=bind,source=/s,target=/t,readonly=no", /is true or false/],
    ["type=bind,source=/s,target=/t,bind-propagation=x", /no propagation/],
    ["type=bind,source=/s,target=/t,bind-recursive=x", /is enabled, disabled/],
    ["type=bind,source=/s,target=/t,bind-recursive=readonly", /needs "readonly"/],
    [
      "type=bind,source=/s,target=/t,ro,bind-recursive=readonly,bind-propagation=slave",
      /needs "bind-propagation=rprivate"/,
    ],
    ["type=bind,source=/s,target=/t,bind-recursive=enabled,bind-nonrecursive", /cannot both/],
    ["type=bind,source=/s,target=/t,volume-nocopy", /is for type "volume"/],
    ["type=bind,source=/s,target=/t,U=true", /another owner/],
    ["type=bind,source=/s,target=/t,chown", /another owner/],
    ["type=bind,source=/s,target=/t,idmap", /id-mapped/],
    ["type=volume,source=/s,target=/t", /is a name, not a path/],
    ["type=volume,source=v,target=/t", /two or more/],
    ["type=volume,target=/t,volume-driver=nfs", /only volume driver/],
    ["type=volume,target=/t,volume-opt=type=nfs", /cannot mount "nfs"/],
    ["type=volume,target=/t,volume-opt=type=none", /needs "o=bind"/],
    ["type=volume,target=/t,volume-opt=o=bind", /absolute path as "device"/],
    ["type=volume,target=/t,volume-opt=size=1", /no option "size"/],
    ["type=volume,target=/t,volume-subpath=../x", /relative path/],
    ["type=volume,target=/t,volume-subpath=/x", /relative path/],
    ["type=volume,target=/t,volume-label==x", /needs a name/],
    ["type=tmpfs,target=/t,source=x", /has no source/],
    ["type=tmpfs,target=/t,tmpfs-size=x", /no size/],
    ["type=tmpfs,target=/t,tmpfs-mode=9", /no mode/],
    ["type=image,target=/t", /needs an image/],
    ["type=npipe,target=/t", /Windows/],
    ["type=cluster,target=/t", /Swarm/],
    ["type=what,target=/t", /no type "what"/],
    ['type=bind,source="/s",target=/t', /not a list/],
    ["type=bind,source=/s\0,target=/t", /NUL/],
  ];
  for (const [text, message] of bad) assert.throws(() => parse(text), message, text);
});

test("whatever the text, a mount is read or refused by its own error", () => {
  const random = seededRandom(64).fraction;
  const pieces = [
    "type=",
    "bind",
    "volume",
    "tmpfs",
    ",",
    ",",
    "source=/s",
    "target=/t",
    "ro",
    "=",
    '"',
    "volume-opt=a=b",
    "\n",
  ]
    .concat([
      "__proto__",
      "constructor=1",
      "..",
      "tmpfs-size=1",
      "\0",
      "é",
      "volume-label=__proto__=x",
      "readonly=maybe",
    ]);
  let read = 0;
  for (let round = 0; round < 5000; round++) {
    const count = Math.floor(random() * 9);
    const text = Array.from({ length: count }, () => pieces[Math.floor(random() * pieces.length)]).join(
      random() < 0.5 ? "," : "",
    );
    try {
      parse(text);
      read++;
    } catch (error) {
      assert.ok(error instanceof DugoutError, text);
    }
  }
  assert.ok(read > 10);
  assert.throws(() => parse("a=b,".repeat(50_000)), DugoutError);
});
