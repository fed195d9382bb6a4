import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseTemplate } from "./parse.ts";
import { escapeKeepingLines, renderTemplate } from "./render.ts";
import { seededRandom } from "../../../tests/support/random.ts";

const id = (digits: string): string => "sha256:" + digits.repeat(64).slice(0, 64);

/** An answer of `inspect`, in the shape in which our commands give it: keys from outside are in maps. */
const IMAGE = {
  Id: id("a1b2c3d4e5f6"),
  RepoTags: ["debian:latest"],
  RepoDigests: [],
  Parent: "",
  Created: "2024-01-02T03:04:05Z",
  Config: {
    Env: ["PATH=/bin"],
    Cmd: ["bash"],
    Labels: new Map([["a", "b<c>&"], ["constructor", "q"]]),
    ExposedPorts: new Map([["80/tcp", {}]]),
  },
  Architecture: "amd64",
  Os: "linux",
  Size: 116500000,
  RootFS: { Type: "layers", Layers: [id("e")] },
  Weird: [1, 2.5, 1e21, null, true, new Map<string, unknown>([["b", 1], ["a", "x"]])],
  Big: 12345678,
};

function render(text: string, data: unknown = IMAGE): string {
  return renderTemplate(parseTemplate(text), data);
}

/** Messages that name Go's types, of which we have others, or Go's own crashes. */
const OTHER_WORDS: ReadonlyMap<string, string> = new Map([
  ["{{.Os.Foo}}", "can't evaluate field Foo in type string"],
  ["{{.Config.Labels.a.b}}", "can't evaluate field b in type string"],
  ["{{.Config.Env.Foo}}", "can't evaluate field Foo in type []string"],
  ["{{call .Os}}", "non-function of type string"],
  ["{{len nil}}", "len of nil pointer"],
  ['{{truncate "abc" -1}}', "error calling truncate: slice bounds out of range [:-1]"],
]);

test("templates give what docker inspect 28.2.2 gave, or its error", () => {
  const file = fileURLToPath(new URL("../../../tests/golden/template/docker-28.2.2.json", import.meta.url).href);
  const cases: { template: string; output?: string; error?: string }[] = JSON.parse(readFileSync(file, "utf8"));
  assert.ok(cases.length > 150);
  for (const { template, output, error } of cases) {
    const words = OTHER_WORDS.get(template);
    if (error === undefined) assert.equal(render(template), output, template);
    else {
      assert.throws(() => render(template), (thrown: Error & { code?: string }) => {
        assert.equal(thrown.code, "TEMPLATE", template);
        if (words === undefined) assert.equal(thrown.message, error, template);
        else assert.ok(thrown.message.includes(words), thrown.message);
        return true;
      });
    }
  }
});

test("a place is told by line and byte", () => {
  assert.throws(() => render("é\né{{.Os}}{{.Nope}}"), { message: /template: :2:11: executing "" at <\.Nope>/ });
  assert.throws(() => render("a\n\n{{if}}"), { message: "template parsing error: template: :3: missing value for if" });
});

test("A-087 names of JavaScript's own are fields only where the data has them", () => {
  const data = { Labels: new Map([["__proto__", "p"], ["toString", "t"]]), Plain: JSON.parse('{"__proto__":"own"}') };
  assert.equal(render('{{index .Labels "__proto__"}}{{index .Labels "toString"}}{{.Labels.toString}}', data), "ptt");
  assert.equal(render('{{index .Labels "constructor"}}|{{len .Labels}}', data), "|2");
  assert.equal(render("{{.Plain.__proto__}}", data), "own");
  for (const name of ["constructor", "hasOwnProperty", "__proto__"]) {
    assert.throws(() => render(`{{.${name}}}`), { message: new RegExp(`map has no entry for key "${name}"`) });
    assert.throws(() => render(`{{${name}}}`), { message: new RegExp(`function "${name}" not defined`) });
  }
});

test("A-051 control and bidi characters of the data are escaped, line feeds and tabs stay", () => {
  const data = { Name: "a\x1b[2Jb\x9b\u202ec\r\n\td\x7f" };
  assert.equal(render("{{.Name}}", data), "a\\x1b[2Jb\\x9b\\u202ec\\r\n\td\\x7f");
  assert.equal(render("{{json .}}", data), '{"Name":"a\\u001b[2Jb\\u009b\\u202ec\\r\\n\\td\\u007f"}');
  assert.equal(JSON.parse(render("{{json .Name}}", data)), data.Name);
  assert.equal(render("{{printf `%c%s` 27 .Name}}", { Name: "\x07" }), "\\x1b\\x07");
  assert.equal(escapeKeepingLines("x".repeat(5000)).length, 5000);
});

test("A-100 templates that ask for too much are stopped", () => {
  const list = Array.from({ length: 2000 }, (_, i) => i);
  assert.throws(() => render("{{range $}}{{range $}}x{{end}}{{end}}", list), { message: /more than 1000000 steps/ });
  assert.throws(() => render("{{range 100000000000}}{{end}}"), { message: /more than 1000000 steps/ });
  assert.throws(() => render('{{define "a"}}{{template "a"}}{{end}}{{template "a"}}'), {
    message: /maximum template depth/,
  });
  assert.throws(() => render("{{" + "(".repeat(1000) + "1" + ")".repeat(1000) + "}}"), {
    message: /nested more than 100/,
  });
  assert.throws(() => render("{{if 1}}".repeat(1000) + "{{end}}".repeat(1000)), { message: /nested more than 100/ });
  assert.throws(() => render("x".repeat(70_000)), { message: /longer than 65536 characters/ });
  assert.throws(() => render('{{pad "x" 100000 0}}'), { message: /more than 10000 spaces/ });
  assert.equal(render("{{printf `%99999999d` 1}}").length, 10_000);
  assert.throws(
    () => render('{{range $}}{{printf "%10000s" "x"}}{{end}}', Array.from({ length: 100_000 }, () => 0)),
    { message: /more than 64 MB/ },
  );
});

test("whatever the template, it renders or fails with our own error", () => {
  const pieces = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    ".",
    ".Os",
    ".Config",
    ".Labels",
    "$",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    ",",
    '"a"',
    "`r`",
    "'c'",
    "1",
    "1.5",
    "-3",
    "0x1",
    "nil",
    "true",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "block",
    "template",
    "break",
    "continue",
    "index",
    "len",
    "printf",
    '"%d%s%v%q%[9]d%*x"',
    "json",
    "and",
    "or",
    "eq",
    "slice",
    "split",
    "join",
    "pad",
    "truncate",
    "/*",
    "*/",
    "\n",
    "é",
    "\\",
    '"',
    "'",
    "#",
    "text",
    "title",
    "html",
    "urlquery",
    "\ud800",
  ];
  const seed = 20261125;
  const random = seededRandom(seed).below;
  for (let round = 0; round < 20_000; round++) {
    let text = random(2) === 0 ? "{{" : "";
    for (let n = random(14); n > 0; n--) text += (pieces[random(pieces.length)] ?? "") + (random(2) === 0 ? " " : "");
    if (random(2) === 0) text += "}}";
    try {
      render(text);
    } catch (error) {
      assert.equal(
        (error as { code?: unknown }).code,
        "TEMPLATE",
        `seed ${seed}, round ${round}: ${JSON.stringify(text)}: ${error}`,
      );
    }
  }
});
