import { templateError } from "./error.ts";

export type TokenKind =
  | "text"
  | "open"
  | "close"
  | "space"
  | "word"
  | "field"
  | "variable"
  | "number"
  | "character"
  | "string"
  | "raw"
  | "dot"
  | "declare"
  | "assign"
  | "pipe"
  | "leftParen"
  | "rightParen"
  | "char"
  | "end";

export interface Token {
  kind: TokenKind;
  /** As it stands in the template. */
  text: string;
  /** Index in the template, in UTF-16 units. */
  at: number;
}

/** Gives one token after another; complaints come when the bad place is reached, as in Go, so that the first one is told. */
export interface Lexer {
  next(): Token;
  /** 1-based line of an index. */
  lineOf(at: number): number;
}

const SPACE = /[ \t\r\n]/;
const WORD = /[\p{L}\p{Nd}_]/u;
const TRIM_LEFT = /^[ \t\r\n]+/;

/**
 * Splits a template into tokens by Go's rules (text/template/parse): `{{` and `}}`, `{{- ` and ` -}}` which trim the white space
 * beside them, comments that fill a whole action.
 */
export function createLexer(source: string): Lexer {
  let at = 0;
  let insideAction = false;
  let parens = 0;
  let trimsNext = false;
  const queue: Token[] = [];

  const lineOf = (index: number): number => {
    let line = 1;
    for (let i = source.indexOf("\n"); i >= 0 && i < index; i = source.indexOf("\n", i + 1)) line++;
    return line;
  };
  const fail = (message: string): Error => templateError(String(lineOf(at)), message);
  const startsClose = (index: number): boolean =>
    source.startsWith("}}", index) || (SPACE.test(source[index] ?? "") && source.startsWith("-}}", index + 1));

  /** Text up to the next action, and the action's opening; comments are skipped. */
  const lexText = (): void => {
    for (;;) {
      let open = source.indexOf("{{", at);
      if (open < 0) open = source.length;
      const trims = source.startsWith("{{-", open) && SPACE.test(source[open + 3] ?? "");
      const start = at;
      let text = source.slice(at, open);
      if (trimsNext) text = text.replace(TRIM_LEFT, "");
      if (trims) text = trimRight(text);
      trimsNext = false;
      if (text !== "") queue.push({ kind: "text", text, at: start });
      if (open >= source.length) {
        queue.push({ kind: "end", text: "", at: source.length });
        return;
      }
      at = open;
      const inner = open + (trims ? 4 : 2);
      if (!source.startsWith("/*", inner)) {
        queue.push({ kind: "open", text: "{{", at: open });
        at = open + (trims ? 3 : 2);
        insideAction = true;
        parens = 0;
        return;
      }
      const end = source.indexOf("*/", inner + 2);
      if (end < 0) throw fail("unclosed comment");
      if (!startsClose(end + 2)) throw fail("comment ends before closing delimiter");
      trimsNext = !source.startsWith("}}", end + 2);
      at = end + 2 + (trimsNext ? 4 : 2);
    }
  };

  const take = (kind: TokenKind, end: number): Token => {
    const token = { kind, text: source.slice(at, end), at };
    at = end;
    return token;
  };
  const wordEnd = (start: number): number => {
    let end = start;
    for (;;) {
      const character = String.fromCodePoint(source.codePointAt(end) ?? 0);
      if (!WORD.test(character)) return end;
      end += character.length;
    }
  };
  /** What may follow a field, a variable or a word. */
  const checkTerminator = (): void => {
    const next = source[at] ?? "";
    if (next === "" || SPACE.test(next) || ".,|:()".includes(next) || source.startsWith("}}", at)) return;
    throw fail(`bad character ${describeCharacter(source, at)}`);
  };

  const lexAction = (): Token => {
    const first = source[at] ?? "";
    if (first === "") throw fail("unclosed action");
    if (startsClose(at)) {
      if (parens > 0) throw fail("unclosed left paren");
      insideAction = false;
      trimsNext = first !== "}";
      const token = { kind: "close" as const, text: "}}", at };
      at += trimsNext ? 4 : 2;
      return token;
    }
    if (SPACE.test(first)) {
      let end = at;
      while (SPACE.test(source[end] ?? "") && !(end > at && startsClose(end))) end++;
      return take("space", end);
    }
    switch (first) {
      case ":":
        if (source[at + 1] !== "=") throw fail("expected :=");
        return take("declare", at + 2);
      case "=":
        return take("assign", at + 1);
      case "|":
        return take("pipe", at + 1);
      case "(":
        parens++;
        return take("leftParen", at + 1);
      case ")":
        if (--parens < 0) throw fail("unexpected right paren");
        return take("rightParen", at + 1);
      case '"': {
        const end = quotedEnd('"');
        if (end === undefined) throw fail("unterminated quoted string");
        return take("string", end);
      }
      case "'": {
        const end = quotedEnd("'");
        if (end === undefined) throw fail("unterminated character constant");
        return take("character", end);
      }
      case "`": {
        const end = source.indexOf("`", at + 1);
        if (end < 0) throw fail("unterminated raw quoted string");
        return take("raw", end + 1);
      }
      default:
    }
    const second = source[at + 1] ?? "";
    if (first === "." && !/[0-9]/.test(second)) {
      const end = wordEnd(at + 1);
      const token = take(end === at + 1 ? "dot" : "field", end);
      if (token.kind === "field") checkTerminator();
      return token;
    }
    if (first === "$") {
      const token = take("variable", wordEnd(at + 1));
      if (token.text !== "$") checkTerminator();
      return token;
    }
    if (/[0-9.]/.test(first) || (/[+-]/.test(first) && /[0-9.]/.test(second))) return lexNumber();
    if (WORD.test(String.fromCodePoint(source.codePointAt(at) ?? 0))) {
      const token = take("word", wordEnd(at));
      checkTerminator();
      return token;
    }
    if (first > " " && first < "\x7f") return take("char", at + 1);
    throw fail(`unrecognized character in action: ${describeCharacter(source, at)}`);
  };

  const quotedEnd = (delimiter: string): number | undefined => {
    for (let end = at + 1; end < source.length && source[end] !== "\n"; end++) {
      if (source[end] === "\\") end++;
      else if (source[end] === delimiter) return end + 1;
    }
    return undefined;
  };

  const lexNumber = (): Token => {
    const match = /^[+-]?(0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9_]*\.?[0-9_]*([eE][+-]?[0-9_]+)?)/.exec(
      source.slice(at, at + 200),
    );
    const end = at + (match?.[0].length ?? 1);
    if (WORD.test(source[end] ?? "")) {
      throw fail(`bad number syntax: "${source.slice(at, end + 1)}"`);
    }
    return take("number", end);
  };

  return {
    next: () => {
      if (queue.length === 0) {
        if (insideAction) return lexAction();
        lexText();
      }
      return queue.shift() ?? { kind: "end", text: "", at: source.length };
    },
    lineOf,
  };
}

function describeCharacter(source: string, at: number): string {
  const code = source.codePointAt(at) ?? 0;
  const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return code > 0x20 && code !== 0x7f ? `${name} '${String.fromCodePoint(code)}'` : name;
}

/** White space off the end, in one pass backwards: a pattern with `+$` would be quadratic. */
function trimRight(text: string): string {
  let end = text.length;
  while (end > 0 && SPACE.test(text[end - 1] ?? "")) end--;
  return text.slice(0, end);
}
