import test from "node:test";
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import {
  checkImports,
  checkLooseEnds,
  checkModuleLevel,
  checkPatterns,
  checkRuntimeNames,
  findHeavyImports,
  hasNestedRepeat,
  readSourceFile,
  roomOf,
  type SourceFile,
} from "./support/tidy_rules.ts";

const ROOT = join(import.meta.dirname ?? "", "..");
const LEFT_OUT = new Set(["node_modules", ".git", "out"]);

function listFiles(folder = ROOT): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return LEFT_OUT.has(entry.name) ? [] : listFiles(path);
    return entry.isFile() ? [relative(ROOT, path)] : [];
  }).sort();
}

const FILES = listFiles();

function readFiles(): SourceFile[] {
  return FILES.filter((path) => path.endsWith(".ts")).map((path) =>
    readSourceFile(path, readFileSync(join(ROOT, path), "utf8"))
  );
}

function checkAll(check: (file: SourceFile) => string[]): void {
  assert.deepEqual(readFiles().flatMap(check), []);
}

test("imports go right or down, and packages are used where they belong", () => checkAll(checkImports));

test("only ffi knows which runtime it is on", () =>
  checkAll((file) => roomOf(file.path) === undefined ? [] : checkRuntimeNames(file)));

test("no type any, no silenced compiler, no work put off", () => checkAll(checkLooseEnds));

test("importing a file does nothing", () => checkAll(checkModuleLevel));

test("A-100 no pattern repeats a repeat, and none is made from text", () => checkAll(checkPatterns));

test("the way to the first command loads nothing heavy", () => {
  const files = new Map(readFiles().map((file) => [file.path, file]));
  assert.deepEqual(findHeavyImports("src/cli/main.ts", files), []);
});

test("every room has a README, and the files that it names are there", () => {
  const folders = new Set(
    FILES.filter((path) => path.endsWith(".ts") && path.includes("/")).map((path) => {
      const [first = "", second = ""] = path.split("/");
      return first === "src" ? `src/${second}` : first;
    }),
  );
  const breaches: string[] = [];
  for (const folder of folders) {
    const readme = join(folder, "README.md");
    if (!FILES.includes(readme)) {
      breaches.push(`${readme} is missing`);
      continue;
    }
    for (
      const [, name = ""] of readFileSync(join(ROOT, readme), "utf8").matchAll(/`([\w/.-]+\.(?:ts|c|mjs|sh|S|json))`/g)
    ) {
      const there = FILES.some((path) => path === name || (path.startsWith(`${folder}/`) && path.endsWith(`/${name}`)));
      if (!there) breaches.push(`${readme} names ${name}, which is not there`);
    }
  }
  assert.deepEqual(breaches, []);
});

test("tests are flat, and none runs alone or is left out by accident", () => {
  checkAll(({ path, source }) =>
    path.endsWith("_test.ts") && /\b(?:describe|it)\(|\btest\.(?:only|todo)\b|\bonly: true/.test(source.code)
      ? [`${path}: test() only`]
      : []
  );
});

test("the README begins with two commands: one builds and runs the main job, one passes the tests", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const block = /```\w*\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  const commands = block.split("\n").map((line) => line.replace(/\s+#.*$/, "")).filter((line) => line !== "");
  assert.deepEqual(commands, ["npm ci && npm run build && dist/dugout run hello", "npm test"]);
});

test("the version is the changelog's newest", () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  assert.equal(/^## (\S+)/m.exec(readFileSync(join(ROOT, "CHANGELOG.md"), "utf8"))?.[1], version);
});

test("nothing tells of the machine that it was written on", () => {
  const text = /\.(?:ts|mjs|sh|md|json|c|S)$|^\.ci\//;
  const marks = ["/wo" + "rk/", "registry." + "npmjs", "deb." + "debian.org", "\\bCE" + "O\\b", "Clau" + "de"].join(
    "|",
  );
  const pattern = new RegExp(marks);
  const told = FILES.filter((path) => text.test(path) && pattern.test(readFileSync(join(ROOT, path), "utf8")));
  assert.deepEqual(told, []);
});

test("executables say what runs them", () => {
  for (const path of FILES.filter((path) => path.endsWith(".sh") && path.startsWith("tests/setup/"))) {
    const first = readFileSync(join(ROOT, path), "utf8").split("\n", 1)[0] ?? "";
    assert.ok(/^#/.test(first), `${path} begins with "${first}"`);
  }
  assert.ok(existsSync(join(ROOT, ".ci/run")));
});

// The rules themselves, each on what it must find and what it must let pass.

test("the arrow check names the file, the import and what is allowed", () => {
  const file = readSourceFile(
    "src/storage/overlay.ts",
    'import { emit } from "#engine/events.ts";\nimport x from "#oci/digest.ts";\n',
  );
  assert.deepEqual(checkImports(file), [
    "src/storage/overlay.ts:1 imports #engine/events.ts: storage may import oci, tar, tape, linux, ffi",
  ]);
  assert.equal(
    checkImports(readSourceFile("src/oci/a.ts", 'import "../linux/call.ts";\nimport y from "commander";\n')).length,
    2,
  );
  assert.equal(checkImports(readSourceFile("src/oci/a.ts", 'const { b } = await import("#image/b.ts");\n')).length, 1);
  assert.deepEqual(
    checkImports(readSourceFile("src/cli/commands/run.ts", 'import { x } from "../usage_error.ts";\n')),
    [],
  );
});

test("the module-level check lets declarations pass and finds what runs", () => {
  const check = (text: string) => checkModuleLevel(readSourceFile("src/oci/a.ts", text)).length;
  assert.equal(
    check('export const A = new Map([["a", 1]]);\nconst f = () => readFileSync("x");\nfunction g() {\n  open();\n}\n'),
    0,
  );
  assert.equal(check("start();\n"), 1);
  assert.equal(check("const text = readFileSync(path);\n"), 1);
  assert.equal(check("const module = await import(x);\n"), 1);
  assert.equal(check("let counter = 0;\n"), 1);
  assert.equal(check("let table: Map<string, number> | undefined;\n"), 0);
  assert.equal(check("if (x) {\n  y();\n}\n"), 1);
});

test("the scanner keeps strings, comments, templates and patterns apart", () => {
  const check = (text: string) => checkLooseEnds(readSourceFile("src/oci/a.ts", text)).length;
  assert.equal(check('const a = "x: any // TODO"; const b = `as any ${"`"} : any`;\n'), 0);
  assert.equal(check("const a = /: any \\/\\/ TODO/; // fine\n"), 0);
  assert.equal(check("const a = b / c; // TO" + "DO later / d\n"), 1);
  assert.equal(check("const a = `${b as any}`;\n"), 1);
  assert.equal(check("function f(any: string, x: Map<string, any>) {}\n"), 1);
});

test("the pattern check finds a repeat in a repeat, and no other", () => {
  for (const bad of ["(a+)+", "(?:a*b?)*", "((a|b+)c)*", "(\\d+)*$", "(x+){2,}"]) {
    assert.equal(hasNestedRepeat(bad), true, bad);
  }
  for (
    const good of [
      "a+b*",
      "(?:ab)+",
      "(a{2,3})+",
      "[(+*)]+",
      "\\(a+\\)+",
      "(a+)?",
      "(a+){2}",
      "^[a-z0-9]+(?:[._-][a-z0-9])*$",
    ]
  ) {
    assert.equal(hasNestedRepeat(good), false, good);
  }
});

test("a heavy import is found through the files between", () => {
  const files = new Map([
    ["src/cli/main.ts", 'import { a } from "./a.ts";\nconst x = () => import("node:https");\n'],
    ["src/cli/a.ts", 'import type { T } from "#image/heavy.ts";\nimport { b } from "#oci/b.ts";\n'],
    ["src/oci/b.ts", 'import http from "node:http";\n'],
    ["src/image/heavy.ts", 'import { Command } from "commander";\n'],
  ].map(([path = "", text = ""]) => [path, readSourceFile(path, text)]));
  assert.deepEqual(findHeavyImports("src/cli/main.ts", files), [
    "src/cli/main.ts → src/cli/a.ts → src/oci/b.ts → node:http: import it where it is used",
  ]);
});
