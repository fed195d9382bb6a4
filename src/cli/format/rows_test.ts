import assert from "node:assert/strict";
import { test } from "node:test";
import { formatObject, formatObjects } from "./inspect.ts";
import { formatRows, type ListShape } from "./rows.ts";

const SHAPE: ListShape = {
  noun: "image",
  headers: { Repository: "REPOSITORY", Tag: "TAG", ID: "IMAGE ID", Size: "SIZE" },
  columns: ["Repository", "Tag", "ID"],
};
const ROWS = [
  { Repository: "debian", Tag: "latest", ID: "a1b2c3d4e5f6", Size: "116MB" },
  { Repository: "127.0.0.1:5000/some/image", Tag: "<none>", ID: "bbbbbbbbbbbb", Size: "0B" },
];

test("a table has docker's columns: at least ten wide, three apart, nothing behind the last", () => {
  const table = formatRows(ROWS, SHAPE, undefined);
  assert.equal(
    table,
    "REPOSITORY                  TAG       IMAGE ID\n" +
      "debian                      latest    a1b2c3d4e5f6\n" +
      "127.0.0.1:5000/some/image   <none>    bbbbbbbbbbbb\n",
  );
  assert.equal(formatRows(ROWS, SHAPE, "table"), table);
  assert.equal(formatRows([], SHAPE, undefined), "REPOSITORY   TAG       IMAGE ID\n");
});

test("a table of one's own has the headings of its fields", () => {
  assert.equal(
    formatRows(ROWS, SHAPE, "table {{.ID}}\\t{{.Tag | upper}}"),
    "IMAGE ID       TAG\na1b2c3d4e5f6   LATEST\nbbbbbbbbbbbb   <NONE>\n",
  );
});

test("a template is used for each row, with \\t and \\n as one types them", () => {
  assert.equal(
    formatRows(ROWS, SHAPE, "{{.Repository}}:{{.Tag}}\\t{{.ID}}").split("\n")[0],
    "debian:latest\ta1b2c3d4e5f6",
  );
  assert.equal(formatRows(ROWS, SHAPE, '{{.ID}}{{"\\t"}}x'), "a1b2c3d4e5f6\tx\nbbbbbbbbbbbb\tx\n");
});

test("json is a line for each row, fields by name, with docker's escapes", () => {
  assert.equal(
    formatRows(ROWS, SHAPE, "json"),
    '{"ID":"a1b2c3d4e5f6","Repository":"debian","Size":"116MB","Tag":"latest"}\n' +
      '{"ID":"bbbbbbbbbbbb","Repository":"127.0.0.1:5000/some/image","Size":"0B","Tag":"\\u003cnone\\u003e"}\n',
  );
});

test("a field that is not there is named, with those that are", () => {
  assert.throws(() => formatRows(ROWS, SHAPE, "{{.Foo}}"), {
    code: "TEMPLATE",
    message:
      'template parsing error: template: :1:2: executing "" at <.Foo>: can\'t evaluate field Foo in type image: it has Repository, Tag, ID, Size',
  });
});

test("A-051 a hostile cell cannot make a row, a column or a colour", () => {
  const rows = [{ Repository: "a\nb\tc\x1b[31m\u202e", Tag: "\x9b", ID: "x", Size: "" }];
  const escaped = "a\\nb\\tc\\x1b[31m\\u202e";
  assert.equal(formatRows(rows, SHAPE, undefined).split("\n")[1], `${escaped}   \\x9b      x`);
  assert.equal(formatRows(rows, SHAPE, "{{.Repository}}"), escaped + "\n");
  assert.equal(formatRows(rows, SHAPE, "table {{.Repository}}").split("\n")[1], escaped);
  const json = formatRows(rows, SHAPE, "json");
  assert.match(json, /^[ -~]*\n$/);
  assert.equal(JSON.parse(json).Repository, rows[0]?.Repository);
});

test("inspect gives one list, indented by four, or a template for each object", () => {
  const objects = [{ Id: "a", Labels: new Map([["z", "1"], ["b", "<&>"]]), None: null, Empty: [], Map: new Map() }];
  assert.equal(
    formatObjects(objects, undefined),
    '[\n    {\n        "Id": "a",\n        "Labels": {\n            "b": "<&>",\n            "z": "1"\n        },\n' +
      '        "None": null,\n        "Empty": [],\n        "Map": {}\n    }\n]\n',
  );
  assert.equal(formatObjects([], undefined), "[]\n");
  assert.equal(
    formatObjects(objects, "json"),
    '[{"Id":"a","Labels":{"b":"<&>","z":"1"},"None":null,"Empty":[],"Map":{}}]\n',
  );
  assert.equal(formatObjects(objects, "{{.Id}}"), "a\n");
});

test("info and version have a text of their own, JSON on one line, or a template", () => {
  const object = { Server: { Version: "1" } };
  assert.equal(formatObject(object, undefined, () => "text\n"), "text\n");
  assert.equal(formatObject(object, "json", () => ""), '{"Server":{"Version":"1"}}\n');
  assert.equal(formatObject(object, "{{.Server.Version}}", () => ""), "1\n");
});
