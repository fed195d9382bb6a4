import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { renderHelp } from "./commander.ts";
import { COMMANDS } from "./declare/commands.ts";
import { GROUPS } from "./declare/global.ts";
import manifest from "../../package.json" with { type: "json" };
import { VERSION } from "./version.ts";

/** UPDATE_GOLDEN=1 writes the expected texts anew; the diff is then reviewed. */
const rewrites = process.env["UPDATE_GOLDEN"] === "1";
const folder = fileURLToPath(new URL("../../tests/golden/help", import.meta.url).href);

function eachCommand(): string[] {
  return ["", ...GROUPS.map((group) => group.name), ...COMMANDS.map((command) => command.names[0] ?? "")];
}

function fileOf(path: string): string {
  return join(folder, `${path === "" ? "dugout" : path.replaceAll(" ", "-")}.txt`);
}

test("the help of every command is as reviewed (UPDATE_GOLDEN=1 rewrites)", () => {
  if (rewrites) mkdirSync(folder, { recursive: true });
  for (const path of eachCommand()) {
    const help = renderHelp(path.split(" ").filter((word) => word !== ""), 80);
    if (rewrites) writeFileSync(fileOf(path), help);
    assert.equal(help, existsSync(fileOf(path)) ? readFileSync(fileOf(path), "utf8") : "", `dugout ${path} --help`);
  }
  assert.equal(readdirSync(folder).length, eachCommand().length, "a help text without a command");
});

test("help keeps to 80 columns, but for an example that cannot be broken", () => {
  for (const path of eachCommand()) {
    const lines = renderHelp(path.split(" ").filter((word) => word !== ""), 80).split("\n");
    for (const line of lines) assert.ok(line.length <= 80 || line.includes("  dugout "), line);
  }
});

test("every command has an example, and every example is one of it", () => {
  for (const command of COMMANDS) {
    assert.ok(command.examples.length > 0, command.names.join());
    for (const [example] of command.examples) {
      assert.ok(command.names.some((name) => example === name || example.startsWith(name + " ")), example);
    }
  }
});

test("no name of a command is declared twice", () => {
  const names = COMMANDS.flatMap((command) => command.names);
  assert.equal(new Set(names).size, names.length);
});

test("the version is package.json's", () => {
  assert.equal(VERSION, manifest.version);
});
