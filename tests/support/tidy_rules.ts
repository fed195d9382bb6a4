import { posix } from "node:path";
import { scanSource, type Source } from "./scan_source.ts";

/** A source file by its path from the root of the repository. */
export type SourceFile = { path: string; source: Source };

export function readSourceFile(path: string, text: string): SourceFile {
  return { path, source: scanSource(text) };
}

/** What the engine and all that is left of it may import. */
const ENGINE_STANDS_ON = ["network", "netstack", "image", "runtime", "storage", "oci", "tar", "tape", "linux", "ffi"];

/** Which rooms a room may import, besides itself: right and down in the drawing of ARCHITECTURE.md. */
export const ARROWS: Record<string, readonly string[]> = {
  "ffi": [],
  "linux": ["ffi"],
  "tape": ["linux", "ffi"],
  "tar": ["tape", "linux", "ffi"],
  "oci": ["tar", "tape", "linux", "ffi"],
  "storage": ["oci", "tar", "tape", "linux", "ffi"],
  // control groups: systemd's scopes, limits
  "cgroup": ["oci", "linux", "ffi"],
  "runtime": ["cgroup", "storage", "oci", "tar", "tape", "linux", "ffi"],
  "image": ["runtime", "storage", "oci", "tar", "tape", "linux", "ffi"],
  // a process of its own, which shares nothing but what it is told
  "netstack": ["linux", "ffi"],
  "network": ["netstack", "image", "runtime", "cgroup", "storage", "oci", "tar", "tape", "linux", "ffi"],
  // bundles of the OCI: knows no image
  "bundle": ["runtime", "cgroup", "oci", "tape", "linux", "ffi"],
  // schemas and a grammar: data, which the engine takes as its requests
  "docker": ["oci", "linux"],
  // units from files: text to text
  "quadlet": ["docker", "oci"],
  "engine": ["docker", "cgroup", ...ENGINE_STANDS_ON],
  "mod.ts": ["docker", "engine", ...ENGINE_STANDS_ON],
  "cli": ["bundle", "quadlet", "docker", "engine", ...ENGINE_STANDS_ON],
};

/** Which packages a room may import; what is not named here may be imported by none. */
const PACKAGES: Record<string, readonly string[]> = {
  "valibot": ["oci", "storage", "image", "netstack", "network", "runtime", "docker", "engine", "cli"],
  "smol-toml": ["image", "engine"],
  "commander": ["cli"],
  "bun:ffi": ["ffi"],
};

/** What takes a millisecond or more to load: imported where it is used, never on the way to the first command. */
export const HEAVY = ["node:http", "node:https", "node:http2", "commander", "smol-toml"];

/** The room of a file: `src/oci/digest.ts` → oci, `ffi/mod.ts` → ffi, `mod.ts`; undefined for what is no part of the product. */
export function roomOf(path: string): string | undefined {
  const [first = "", second = ""] = path.split("/");
  if (first === "src") return second;
  return first === "ffi" || path === "mod.ts" ? first : undefined;
}

/** Breaches of the import direction, and of who may use which package. */
export function checkImports({ path, source }: SourceFile): string[] {
  const room = roomOf(path);
  if (room === undefined) return [];
  const allowed = ARROWS[room];
  if (allowed === undefined) return [`${path}: there is no room "${room}"`];
  const isTest = /(?:_test|\/testing|\/test_[a-z_]+)\.ts$/.test(path);
  const breaches: string[] = [];
  for (const { line, target } of source.imports) {
    const say = (why: string) => breaches.push(`${path}:${line} imports ${target}: ${why}`);
    if (target.startsWith("#")) {
      const other = target.slice(1).split("/")[0] ?? "";
      if (other === room) say("inside a room the path is relative");
      else if (!allowed.includes(other)) say(`${room} may import ${allowed.join(", ") || "no other room"}`);
    } else if (target.startsWith(".")) {
      const resolved = posix.join(posix.dirname(path), target);
      const allowedInTest = isTest && (resolved.startsWith("tests/support/") || resolved === "package.json");
      if (roomOf(resolved) !== room && !allowedInTest) say("another room is named by its alias");
    } else if (!target.startsWith("node:")) {
      if (!(PACKAGES[target] ?? []).includes(room)) say(`this package is not for ${room}`);
    }
  }
  return breaches;
}

/** Only ffi/ knows which runtime it is on. */
export function checkRuntimeNames({ path, source }: SourceFile): string[] {
  if (roomOf(path) === "ffi") return [];
  return findAll(path, source.code, /\b(?:Bun|Deno)\b/g, "names a runtime: only ffi/ may");
}

/** Loose ends that types and lints let through. */
export function checkLooseEnds({ path, source }: SourceFile): string[] {
  const breaches = findAll(path, source.code, /(?:[:<|&,(]|\bas|\bextends)\s*any\b(?!\s*[:(])/g, "uses the type any");
  for (const { line, text } of source.comments) {
    const word = /@ts-(?:ignore|expect-error|nocheck)|\b(?:TODO|FIXME|XXX|HACK)\b|\bnot implemented\b/.exec(text);
    if (word) breaches.push(`${path}:${line}: "${word[0]}" in a comment`);
  }
  return breaches;
}

const DECLARATION = /^(?:import|export|const|type|interface|function|async function|class|abstract class|declare)\b/;
/** What is made at its first use, and kept: `let names: string[] | undefined;`. */
const LAZY = /^let \w+: [^=]+ \| undefined;\s*$/;
const EFFECT =
  /\b(?:readFileSync|readdirSync|openSync|writeFileSync|mkdirSync|existsSync|statSync|dlopen|spawn|spawnSync|execSync|setTimeout|setInterval|fetch|createServer|process\s*\.\s*(?:on|once|exit|kill|umask|chdir))\s*\(/;

/**
 * Importing a file does nothing: at the outermost level stand declarations only, none awaits (the compiled binary's
 * bytecode is CommonJS), none calls what acts, and nothing can be assigned to later.
 */
export function checkModuleLevel({ path, source }: SourceFile): string[] {
  if (path === "src/cli/main.ts" || path.endsWith("_test.ts") || roomOf(path) === undefined) return [];
  const breaches: string[] = [];
  for (const { line, text } of source.statements) {
    const say = (why: string) => breaches.push(`${path}:${line}: ${why}`);
    const outer = outermost(text);
    if (LAZY.test(text)) continue;
    if (/^(?:export )?let\b|^var\b/.test(text)) say("state of a module: pass a value instead");
    else if (!DECLARATION.test(text)) say("runs when the file is imported");
    else if (/^(?:export )?(?:const|class)\b/.test(text)) {
      if (/\bawait\b/.test(outer)) say("awaits at the outermost level");
      if (EFFECT.test(outer)) say("acts when the file is imported");
    }
  }
  return breaches;
}

/** A statement without what stands in braces: the bodies of functions, which run later. */
function outermost(text: string): string {
  let depth = 0;
  let out = "";
  for (const char of text) {
    if (char === "{") depth += 1;
    if (depth === 0) out += char;
    if (char === "}") depth -= 1;
  }
  // an arrow function without braces runs later as well
  return out.replaceAll(/=>[^,;)]*/g, "=>");
}

/** Patterns that can take exponential or quadratic time on outside text: a repeat within a repeat. */
export function checkPatterns({ path, source }: SourceFile): string[] {
  const breaches: string[] = [];
  for (const { line, text } of source.patterns) {
    if (hasNestedRepeat(text)) breaches.push(`${path}:${line}: /${text}/ repeats a repeat`);
  }
  if (roomOf(path) !== undefined && !path.endsWith("_test.ts")) {
    breaches.push(...findAll(path, source.code, /\bnew RegExp\(/g, "makes a pattern from text"));
  }
  return breaches;
}

export function hasNestedRepeat(pattern: string): boolean {
  // for each open group, whether something in it repeats without bound
  const groups: boolean[] = [false];
  let closed: boolean | undefined;
  for (let at = 0; at < pattern.length;) {
    const char = pattern[at] ?? "";
    if (char === "[") {
      at = endOfClass(pattern, at);
      closed = undefined;
      continue;
    }
    if (char === "(") {
      groups.push(false);
      closed = undefined;
    } else if (char === ")") {
      closed = groups.pop() ?? false;
      if (groups.length === 0) return false;
      if (closed) groups[groups.length - 1] = true;
    } else if (char === "*" || char === "+" || /^\{\d+,\}/.test(pattern.slice(at))) {
      if (closed === true) return true;
      // a quantifier's own `?` follows it, a group's begins it
      groups[groups.length - 1] = true;
      closed = undefined;
    } else {
      closed = undefined;
    }
    at += char === "\\" ? 2 : 1;
  }
  return false;
}

function endOfClass(pattern: string, from: number): number {
  let at = from + 1;
  while (at < pattern.length && pattern[at] !== "]") at += pattern[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** Follows static imports from `start`, and gives the ways by which a heavy module would be loaded at the start. */
export function findHeavyImports(start: string, files: ReadonlyMap<string, SourceFile>): string[] {
  const breaches: string[] = [];
  const seen = new Set([start]);
  const ways = [[start]];
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    const path = way.at(-1) ?? "";
    for (const { target, kind } of files.get(path)?.source.imports ?? []) {
      if (kind !== "static") continue;
      if (HEAVY.includes(target)) breaches.push(`${[...way, target].join(" → ")}: import it where it is used`);
      const next = resolveImport(path, target);
      if (next === undefined || seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return breaches;
}

function resolveImport(from: string, target: string): string | undefined {
  if (target.startsWith("#ffi/")) return target.slice(1);
  if (target.startsWith("#")) return `src/${target.slice(1)}`;
  return target.startsWith(".") ? posix.join(posix.dirname(from), target) : undefined;
}

function findAll(path: string, code: string, pattern: RegExp, why: string): string[] {
  const breaches: string[] = [];
  for (const { index } of code.matchAll(pattern)) {
    breaches.push(`${path}:${code.slice(0, index).split("\n").length}: ${why}`);
  }
  return breaches;
}
