import assert from "node:assert/strict";
import { test } from "node:test";
import { compileNamePattern } from "./name_pattern.ts";

test("patterns fit what regular expressions would", () => {
  const texts = ["", "a", "web", "web1", "web.1", "my-web", "/web", "aXbXc", "ab"];
  const patterns = [
    "",
    "web",
    "^web",
    "web$",
    "^web$",
    "^/web$",
    "^/?web".replace("?", ""),
    ".",
    "^.$",
    "w.b",
    "^w.*1$",
  ];
  for (
    const pattern of [...patterns, "a.*b", "^a.*b.*c$", ".*", "^.*$", "x|web1", "^a|1$", "^a$|^ab$", "a..b", "web.1"]
  ) {
    const fits = compileNamePattern(pattern);
    for (const text of texts) {
      assert.equal(fits(text), new RegExp(pattern, "s").test(text), `${pattern} in ${text}`);
    }
  }
});

test("A-100 what takes going back and forth is refused", () => {
  for (const pattern of ["(a+)+$", "a+", "a{3}", "[a-z]", "a?", "*", "a**", "\\d", "a^b", "a$b"]) {
    assert.throws(() => compileNamePattern(pattern), { code: "FILTER_INVALID" }, pattern);
  }
});
