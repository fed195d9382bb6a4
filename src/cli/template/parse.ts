import { templateError } from "./error.ts";
import { isFunction } from "./functions.ts";
import { createLexer, type Token } from "./lex.ts";
import type { CommandNode, Node, Operand, Pipeline, Template } from "./nodes.ts";
import { GoFloat } from "./value.ts";

/** Most that a template may be long, in UTF-16 units. */
const MAX_LENGTH = 64 * 1024;
/** Most that parentheses and blocks may be nested. */
const MAX_DEPTH = 100;

/**
 * Reads a Go template. Every template that Go reads is read, but for methods and `call`, which have no meaning here.
 * @throws {DugoutError} TEMPLATE, in docker's words.
 */
export function parseTemplate(source: string): Template {
  if (source.length > MAX_LENGTH) throw templateError("1", `longer than ${MAX_LENGTH} characters`);
  const lexer = createLexer(source);
  const defined = new Map<string, readonly Node[]>();
  /** Tokens that were looked at and given back, the next one last. */
  const givenBack: Token[] = [];
  let lastAt = 0;
  /** Names in scope, innermost last; `$` is the data. */
  let variables: string[] = ["$"];
  let rangeDepth = 0;
  let depth = 0;

  const next = (): Token => {
    const token = givenBack.pop() ?? lexer.next();
    lastAt = token.at;
    return token;
  };
  const giveBack = (token: Token): void => {
    givenBack.push(token);
  };
  const nextNonSpace = (): Token => {
    let token = next();
    while (token.kind === "space") token = next();
    return token;
  };
  const peek = (): Token => {
    const token = next();
    giveBack(token);
    return token;
  };
  const peekNonSpace = (): Token => {
    const token = nextNonSpace();
    giveBack(token);
    return token;
  };
  const fail = (message: string): Error => templateError(String(lexer.lineOf(lastAt)), message);
  const unexpected = (token: Token, context: string): Error => {
    if (token.kind === "end") return fail("unexpected EOF");
    return fail(`unexpected ${showToken(token)} in ${context}`);
  };
  const deeper = (): void => {
    if (++depth > MAX_DEPTH) throw fail(`nested more than ${MAX_DEPTH} levels`);
  };

  const parsePipeline = (context: string, closing: "close" | "rightParen"): Pipeline => {
    deeper();
    const at = peekNonSpace().at;
    const head = parseVariables(context);
    const commands: CommandNode[] = [];
    for (;;) {
      const token = nextNonSpace();
      if (token.kind === closing) {
        checkPipeline(commands, context);
        depth--;
        return { at, ...head, commands };
      }
      if (!OPERAND_STARTS.has(token.kind)) throw unexpected(token, context);
      giveBack(token);
      commands.push(parseCommand());
    }
  };

  /** `$x := `, `$i, $e := ` in a range, `$x = `; nothing where the pipeline begins with a value. */
  const parseVariables = (context: string): { variables: string[]; declares: boolean } => {
    const first = nextNonSpace();
    const space = first.kind === "variable" && peek().kind === "space" ? next() : undefined;
    const names = [first.text];
    if (context === "range" && first.kind === "variable" && isComma(peek())) {
      next();
      const second = nextNonSpace();
      if (second.kind !== "variable") throw unexpected(second, "range");
      names.push(second.text);
      const { kind } = peekNonSpace();
      if (kind !== "declare" && kind !== "assign") throw fail("range can only initialize variables");
    }
    const operator = first.kind === "variable" ? peek() : undefined;
    if (operator === undefined || (operator.kind !== "declare" && operator.kind !== "assign")) {
      // a value after all
      if (space !== undefined) giveBack(space);
      giveBack(first);
      return { variables: [], declares: false };
    }
    next();
    const declares = operator.kind === "declare";
    if (declares) variables.push(...names);
    else for (const name of names) checkVariable(name);
    return { variables: names, declares };
  };
  const checkVariable = (name: string): void => {
    if (!variables.includes(name)) throw fail(`undefined variable "${name}"`);
  };
  const checkPipeline = (commands: readonly CommandNode[], context: string): void => {
    if (commands.length === 0) throw fail(`missing value for ${context}`);
    for (const [index, command] of commands.slice(1).entries()) {
      const kind = command.operands[0]?.kind;
      if (kind === "constant" || kind === "dot" || kind === "nil") {
        throw fail(`non executable command in pipeline stage ${index + 2}`);
      }
    }
  };

  const parseCommand = (): CommandNode => {
    const at = peekNonSpace().at;
    const operands: Operand[] = [];
    for (;;) {
      peekNonSpace();
      const operand = parseOperand();
      if (operand !== undefined) operands.push(operand);
      const token = next();
      if (token.kind === "space") continue;
      if (token.kind === "close" || token.kind === "rightParen") giveBack(token);
      else if (token.kind !== "pipe") throw unexpected(token, "operand");
      break;
    }
    if (operands.length === 0) throw fail("empty command");
    return { at, operands };
  };

  const parseOperand = (): Operand | undefined => {
    const base = parseTerm();
    if (base === undefined) return undefined;
    const follows = peek();
    if (follows.kind !== "field") return base;
    const names: string[] = [];
    while (peek().kind === "field") names.push(next().text.slice(1));
    switch (base.kind) {
      case "field":
      case "variable":
        return { ...base, at: follows.at, names: [...base.names, ...names] };
      case "constant":
      case "nil":
      case "dot":
        throw fail(
          `unexpected . after term "${base.kind === "constant" ? base.text : base.kind === "dot" ? "." : "nil"}"`,
        );
      default:
        return { kind: "chain", at: follows.at, base, names };
    }
  };

  const parseTerm = (): Operand | undefined => {
    const token = nextNonSpace();
    const { at, text } = token;
    switch (token.kind) {
      case "word":
        if (text === "true" || text === "false") return { kind: "constant", at, value: text === "true", text };
        if (text === "nil") return { kind: "nil", at };
        if (!isFunction(text)) throw fail(`function "${text}" not defined`);
        return { kind: "function", at, name: text };
      case "dot":
        return { kind: "dot", at };
      case "field":
        return { kind: "field", at, names: [text.slice(1)] };
      case "variable":
        checkVariable(text);
        return { kind: "variable", at, name: text, names: [] };
      case "number":
        return { kind: "constant", at, value: readNumber(text, fail), text };
      case "character":
        return { kind: "constant", at, value: readCharacter(text, fail), text };
      case "string":
        return { kind: "constant", at, value: unquote(text, fail), text };
      case "raw":
        return { kind: "constant", at, value: text.slice(1, -1).replaceAll("\r", ""), text };
      case "leftParen":
        return { kind: "pipeline", at, pipeline: parsePipeline("parenthesized pipeline", "rightParen") };
      default:
        giveBack(token);
        return undefined;
    }
  };

  /** Nodes up to `end` or `else`, or to the end of the text at the top. */
  const parseList = (isTop: boolean): { nodes: Node[]; ending: string } => {
    const nodes: Node[] = [];
    for (;;) {
      const token = next();
      if (token.kind === "end") {
        if (!isTop) throw fail("unexpected EOF");
        return { nodes, ending: "" };
      }
      if (token.kind === "text") {
        nodes.push({ kind: "text", text: token.text });
        continue;
      }
      const word = peekNonSpace();
      const keyword = word.kind === "word" ? word.text : "";
      if (keyword === "end" || keyword === "else") {
        nextNonSpace();
        if (keyword === "end") expectClose("end");
        if (isTop) throw fail(`unexpected {{${keyword}}}`);
        return { nodes, ending: keyword };
      }
      const node = parseAction(keyword);
      if (node !== undefined) nodes.push(node);
    }
  };

  const expectClose = (context: string): void => {
    const token = nextNonSpace();
    if (token.kind !== "close") throw unexpected(token, context);
  };

  const parseAction = (keyword: string): Node | undefined => {
    switch (keyword) {
      case "if":
      case "with":
      case "range":
        nextNonSpace();
        return parseControl(keyword);
      case "break":
      case "continue":
        nextNonSpace();
        expectClose(`{{${keyword}}}`);
        if (rangeDepth === 0) throw fail(`{{${keyword}}} outside {{range}}`);
        return { kind: keyword };
      case "define": {
        nextNonSpace();
        const name = parseName("define clause");
        expectClose("define clause");
        defined.set(name, parseBody());
        return undefined;
      }
      case "block": {
        const at = nextNonSpace().at;
        const name = parseName("block clause");
        const pipeline = parsePipeline("block clause", "close");
        depth--;
        defined.set(name, parseBody());
        depth++;
        return { kind: "template", at, name, pipeline };
      }
      case "template": {
        nextNonSpace();
        const at = peekNonSpace().at;
        const name = parseName("template clause");
        if (peekNonSpace().kind === "close") {
          next();
          return { kind: "template", at, name, pipeline: undefined };
        }
        return { kind: "template", at, name, pipeline: parsePipeline("template clause", "close") };
      }
      default:
        return { kind: "action", pipeline: parsePipeline("command", "close") };
    }
  };

  const parseName = (context: string): string => {
    const token = nextNonSpace();
    if (token.kind !== "string" && token.kind !== "raw") throw unexpected(token, context);
    return token.kind === "raw" ? token.text.slice(1, -1) : unquote(token.text, fail);
  };

  /** The body of a definition: it sees no variables of the text around it. */
  const parseBody = (): Node[] => {
    deeper();
    const [outerVariables, outerRange] = [variables, rangeDepth];
    variables = ["$"];
    rangeDepth = 0;
    const { nodes, ending } = parseList(false);
    if (ending !== "end") throw fail("unexpected {{else}} in define clause");
    [variables, rangeDepth] = [outerVariables, outerRange];
    depth--;
    return nodes;
  };

  const parseControl = (kind: "if" | "with" | "range"): Node => {
    deeper();
    const scope = variables.length;
    const pipeline = parsePipeline(kind, "close");
    if (kind === "range") rangeDepth++;
    const body = parseList(false);
    if (kind === "range") rangeDepth--;
    let otherwise: Node[] = [];
    if (body.ending === "else") {
      const word = peekNonSpace();
      if (kind !== "range" && word.kind === "word" && word.text === kind) {
        // `else if`: an `if` inside the else, which ends with the same `end`
        nextNonSpace();
        otherwise = [parseControl(kind)];
      } else {
        expectClose("else");
        const rest = parseList(false);
        if (rest.ending !== "end") throw fail("expected end; found {{else}}");
        otherwise = rest.nodes;
      }
    }
    variables.length = scope;
    depth--;
    return { kind, pipeline, body: body.nodes, otherwise };
  };

  const { nodes } = parseList(true);
  return { source, nodes, defined };
}

const OPERAND_STARTS: ReadonlySet<string> = new Set([
  "character",
  "dot",
  "field",
  "leftParen",
  "number",
  "raw",
  "string",
  "variable",
  "word",
]);

function isComma(token: Token): boolean {
  return token.kind === "char" && token.text === ",";
}

function showToken(token: Token): string {
  if (token.kind === "close") return '"}}"';
  if (["field", "dot", "variable", "word"].includes(token.kind)) return `<${token.text}>`;
  const text = token.text.length > 10 ? token.text.slice(0, 10) + '"...' : token.text + '"';
  return `"${text}`;
}

type Fail = (message: string) => Error;

function readNumber(text: string, fail: Fail): unknown {
  const bad = fail(`illegal number syntax: "${text}"`);
  const plain = text.replaceAll("_", "");
  const sign = plain[0] === "-" ? -1 : 1;
  const digits = plain.replace(/^[+-]/, "");
  let value: number;
  if (/^0[xXoObB][0-9a-fA-F]+$/.test(digits)) value = Number(digits);
  else if (/^0[0-7]+$/.test(digits)) value = parseInt(digits, 8);
  else if (/^[0-9]+$/.test(digits)) value = Number(digits);
  else if (/^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(digits)) {
    value = sign * Number(digits);
    if (!Number.isFinite(value)) throw bad;
    // 1e3 is an integer as well for Go, and 1.0 is not when it is printed with %d
    return digits.includes(".") && Number.isInteger(value) ? new GoFloat(value) : value;
  } else throw bad;
  if (!Number.isSafeInteger(value)) throw fail(`integer overflow: "${text}"`);
  return sign * value;
}

function readCharacter(text: string, fail: Fail): number {
  const characters = [...unquote(`"${text.slice(1, -1).replaceAll('"', '\\"').replaceAll("\\'", "'")}"`, fail)];
  if (characters.length !== 1) throw fail(`malformed character constant: ${text}`);
  return characters[0]?.codePointAt(0) ?? 0;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["a", "\x07"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
  ["\\", "\\"],
  ['"', '"'],
]);

/** Reads a Go string between double quotes. */
function unquote(quoted: string, fail: Fail): string {
  let out = "";
  for (let i = 1; i < quoted.length - 1; i++) {
    const character = quoted[i] ?? "";
    if (character !== "\\") {
      out += character;
      continue;
    }
    const letter = quoted[++i] ?? "";
    const simple = ESCAPES.get(letter);
    if (simple !== undefined) {
      out += simple;
      continue;
    }
    const match = /^(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3})/.exec(quoted.slice(i, i + 9));
    const digits = match?.[0];
    const code = digits === undefined
      ? Number.NaN
      : /^[0-7]/.test(digits)
      ? parseInt(digits, 8)
      : parseInt(digits.slice(1), 16);
    if (digits === undefined || !(code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) throw fail("invalid syntax");
    out += String.fromCodePoint(code);
    i += digits.length - 1;
  }
  return out;
}
