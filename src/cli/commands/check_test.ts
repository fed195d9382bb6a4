import assert from "node:assert/strict";
import { test } from "node:test";
import { makeTestStore } from "#storage/test_store.ts";
import { runDugout } from "../testing.ts";
import { describeForPeople } from "./check.ts";

test("check prints a line for each thing, and below them what to ask for, each sentence once", () => {
  const advice = "Please do the one thing that helps with both.";
  const common = { status: "missing" as const, advice, attachment: "line one\nline two\n" };
  const text = describeForPeople({
    canRun: false,
    kernel: "6.12",
    findings: [
      { id: "a", title: "first thing", detail: "it is not here \x1b[31m", ...common },
      { id: "b", title: "second", detail: "nor is this", ...common },
      { id: "c", title: "third", status: "ok", detail: "fine", advice: undefined, attachment: undefined },
    ],
  });
  assert.equal(
    text,
    "missing  first thing  it is not here \\x1b[31m\n" +
      "missing  second       nor is this\n" +
      "ok       third        fine\n" +
      "\nContainers cannot run here yet.\n" +
      "\nTo send to an administrator:\n\n" +
      `- ${advice}\n\n      line one\n      line two\n\n`,
  );
});

test("check looks at this machine, and leaves nothing behind", () => {
  using store = makeTestStore();
  const where = ["--root", store.root, "--run", `${store.root}-run`];
  const { stdout, exitCode } = runDugout([...where, "check", "--format", "json"]);
  const report = JSON.parse(stdout);
  assert.equal(exitCode, report.CanRun ? 0 : 1);
  assert.ok(report.Findings.length >= 12);
  for (const { Id, Status, Detail } of report.Findings) {
    assert.ok(["ok", "limited", "missing"].includes(Status), Id);
    assert.notEqual(Detail, "", Id);
  }
  const { stdout: text } = runDugout([...where, "check"]);
  assert.match(text, /^ok +helper program/m);
  assert.equal(
    runDugout([...where, "check", "--format", "{{range .Findings}}{{.Id}} {{end}}"]).stdout.split(" ")[0],
    "memfd",
  );
});

test("version and info give docker's fields", () => {
  using store = makeTestStore();
  const where = ["--root", store.root, "--run", `${store.root}-run`];
  assert.match(
    runDugout(["version", "-f", "{{.Server.Version}} {{.Client.ApiVersion}}"]).stdout,
    /^\d+\.\d+\.\d+ 1\.\d+\n$/,
  );
  assert.match(runDugout(["version"]).stdout, /^Client:\n Version: +\d/);
  const info = JSON.parse(runDugout([...where, "info", "--format", "json"]).stdout);
  assert.equal(info.DockerRootDir, store.root);
  assert.equal(info.Images, 0);
  assert.ok(["overlay", "fuse-overlayfs", "vfs"].includes(info.Driver));
  assert.notEqual(info.Dugout.IdsReason, "");
  assert.match(runDugout([...where, "info"]).stdout, /^ Storage Driver: /m);
  const wrong = runDugout([...where, "info", "-f", "{{.Foo}}"]);
  assert.equal(wrong.exitCode, 1);
  assert.match(wrong.stderr, /map has no entry for key "Foo"/);
});
