import { test } from "node:test";
import assert from "node:assert/strict";
import { type ContainerOptions, readContainerOptions } from "./options.ts";

test("a script's options are read as the flags of run are", () => {
  const { request, options } = readContainerOptions({
    image: "busybox",
    command: ["echo", "--rm", ""],
    entrypoint: ["/bin/sh", "-c"],
    env: { A: "1=2", EMPTY: "", NOT: undefined },
    workingDir: "/work",
    user: "1:2",
    labels: { "__proto__x": "y" },
    network: "none",
    volumes: ["/etc:/host:ro"],
    tmpfs: ["/run"],
    capDrop: ["all"],
    readOnly: true,
    flags: { "cap-add": ["NET_RAW"], "shm-size": "1m", volume: ["/usr:/usr2"] },
    stdin: "pipe",
  });
  assert.equal(request.image, "busybox");
  assert.deepEqual(request.command, ["echo", "--rm", ""]);
  assert.deepEqual(request.entrypoint, ["/bin/sh", "-c"]);
  assert.deepEqual(request.env, [["A", "1=2"], ["EMPTY", ""]]);
  assert.deepEqual([request.workingDir, request.user, request.readOnlyRoot], ["/work", "1:2", true]);
  assert.deepEqual([...request.labels], [["__proto__x", "y"]]);
  assert.deepEqual(request.network, { kind: "none" });
  assert.deepEqual(request.mounts.map(({ target }) => target), ["/usr2", "/host", "/run"]);
  assert.deepEqual([request.capDrop, request.capAdd], [["ALL"], ["CAP_NET_RAW"]]);
  assert.equal(request.shmSizeBytes, 1024 * 1024);
  assert.deepEqual([options.rm, options.interactive, options.tty, options.sigProxy], [true, true, false, false]);
});

test("a container of a script is removed at its end unless that is said, and reads nothing unless that is said", () => {
  const { options } = readContainerOptions({ image: "a" });
  assert.deepEqual([options.rm, options.interactive], [true, false]);
  assert.equal(readContainerOptions({ image: "a", rm: false }).options.rm, false);
  assert.equal(readContainerOptions({ rootfs: "/:O", command: ["true"] }).options.rootfs?.overlay, true);
});

test("options that make no sense are errors with a code", () => {
  const wrong: [ContainerOptions, string][] = [
    [{}, "OPTION_INVALID"],
    [{ image: "a", rootfs: "/" }, "OPTION_INVALID"],
    [{ image: "a", flags: { tty: true } }, "OPTION_INVALID"],
    [{ image: "a", flags: { "no-such-flag": true } }, "FLAG_INVALID"],
    [{ image: "a", env: { "A=B": "c" } }, "OPTION_INVALID"],
    [{ image: "a", volumes: ["/a:/b", "/c:/b"] }, "FLAG_CONFLICT"],
    [{ image: "a", platform: "a/b/c/d" }, "PLATFORM_INVALID"],
  ];
  for (const [options, code] of wrong) assert.throws(() => readContainerOptions(options), { code }, code);
});
