/** A TypeScript source taken apart: enough for checks of style, with no claim to be a parser. */
export type Source = {
  /** The text with comments, strings' contents and patterns blanked out; same length, same lines. */
  code: string;
  comments: { line: number; text: string }[];
  patterns: { line: number; text: string }[];
  /** What `import` and `export … from` name, in order; `lazy` for `import(…)`, `type` where only types are taken. */
  imports: { line: number; target: string; kind: "static" | "lazy" | "type" }[];
  /** Statements at the outermost level. Relies on the formatter: they begin in the first column, nothing else does. */
  statements: { line: number; text: string }[];
};

type Kept = { strings: Map<number, string>; comments: Source["comments"]; patterns: Source["patterns"] };

export function scanSource(text: string): Source {
  const kept: Kept = { strings: new Map(), comments: [], patterns: [] };
  const code = blankOut(text, kept);
  return {
    code,
    comments: kept.comments,
    patterns: kept.patterns,
    imports: findImports(code, kept.strings),
    statements: split(code),
  };
}

/** A slash begins a pattern, and is no division, when this stands before it. */
const BEFORE_PATTERN =
  /(?:^|[(,=:[!&|?{};<>+\-*%~^\n]|\b(?:return|typeof|case|in|of|yield|await|new|delete|void|do|else))\s*$/;

function blankOut(text: string, kept: Kept): string {
  const out = text.split("");
  const blank = (from: number, to: number) => {
    for (let i = from; i < to; i++) if (out[i] !== "\n") out[i] = " ";
  };
  const lineOf = lineCounter(text);
  // the brace depth at which each open `${` of a template ends
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  const endOfTemplate = (from: number) => {
    let i = from;
    while (i < text.length && text[i] !== "`" && !text.startsWith("${", i)) i += text[i] === "\\" ? 2 : 1;
    blank(from, i);
    if (text[i] === "`") return i + 1;
    templates.push(depth);
    depth += 1;
    return i + 2;
  };
  while (at < text.length) {
    const char = text[at];
    if (text.startsWith("//", at) || text.startsWith("/*", at)) {
      const end = endOfComment(text, at);
      kept.comments.push({ line: lineOf(at), text: text.slice(at, end) });
      blank(at, end);
      at = end;
    } else if (char === '"' || char === "'") {
      let end = at + 1;
      while (end < text.length && text[end] !== char && text[end] !== "\n") end += text[end] === "\\" ? 2 : 1;
      kept.strings.set(at, text.slice(at + 1, end));
      blank(at + 1, end);
      at = end + 1;
    } else if (char === "`") {
      at = endOfTemplate(at + 1);
    } else if (char === "/" && BEFORE_PATTERN.test(out.slice(Math.max(0, at - 40), at).join(""))) {
      const end = endOfPattern(text, at + 1);
      kept.patterns.push({ line: lineOf(at), text: text.slice(at + 1, end) });
      blank(at + 1, end);
      at = end + 1;
    } else {
      if (char === "{") depth += 1;
      if (char === "}") {
        depth -= 1;
        if (templates.at(-1) === depth) {
          templates.pop();
          at = endOfTemplate(at + 1);
          continue;
        }
      }
      at += 1;
    }
  }
  return out.join("");
}

function endOfComment(text: string, at: number): number {
  const mark = text[at + 1] === "/" ? "\n" : "*/";
  const end = text.indexOf(mark, at + 2);
  if (end < 0) return text.length;
  return mark === "\n" ? end : end + 2;
}

function endOfPattern(text: string, from: number): number {
  let inClass = false;
  let at = from;
  while (at < text.length && text[at] !== "\n" && (inClass || text[at] !== "/")) {
    if (text[at] === "[") inClass = true;
    if (text[at] === "]") inClass = false;
    at += text[at] === "\\" ? 2 : 1;
  }
  return at;
}

function lineCounter(text: string): (at: number) => number {
  let line = 1;
  let seen = 0;
  return (at) => {
    for (; seen < at; seen++) if (text[seen] === "\n") line += 1;
    return line;
  };
}

function findImports(code: string, strings: Map<number, string>): Source["imports"] {
  const found: Source["imports"] = [];
  const lineOf = lineCounter(code);
  for (const match of code.matchAll(/^(?:import|export)\b([^;"]*?)\bfrom "|^import "|\bimport\("/gm)) {
    const target = strings.get(match.index + match[0].length - 1) ?? "";
    const kind = match[0].endsWith('("') ? "lazy" : /^\s*type\b/.test(match[1] ?? "") ? "type" : "static";
    found.push({ line: lineOf(match.index), target, kind });
  }
  return found;
}

function split(code: string): Source["statements"] {
  const statements: Source["statements"] = [];
  for (const [index, line] of code.split("\n").entries()) {
    const last = statements.at(-1);
    if (/^[^\s)\]}>|&?:.,;`$]/.test(line)) statements.push({ line: index + 1, text: line });
    else if (last !== undefined) last.text += `\n${line}`;
  }
  return statements;
}
