import { escapeText } from "#oci/text.ts";
import { templateError } from "./error.ts";
import { callFunction, checkArgument, checkCount, FunctionFailure, wantedType } from "./functions.ts";
import { entriesOf } from "./json.ts";
import {
  type CommandNode,
  type Node,
  type Operand,
  type Pipeline,
  showCommand,
  showOperand,
  type Template,
} from "./nodes.ts";
import { isTrue, kindOf, lookUp, showValue, typeName } from "./value.ts";

/** Most nodes that one run may evaluate: nested ranges over long lists multiply. */
const MAX_STEPS = 1_000_000;
/** Most text that one run may make, in UTF-16 units. */
const MAX_OUTPUT = 64 * 1024 * 1024;
/** Most that templates may call each other. */
const MAX_CALLS = 100;

export interface ExecuteRules {
  /** What to say of a field that is not there; Go's words for a map when absent. */
  describeMissing?: (name: string, value: unknown) => string;
  /** A map's entry that is not there is `<no value>`, as in docker's lists of events; an error when absent, as in `inspect`. */
  allowsMissingEntries?: boolean;
  /** Changes each text field of the data before it is used, such as to escape it. */
  readText?: (text: string) => string;
}

/** A field that is there without a value is one that JSON leaves out when it is empty, such as the name of a bind mount. */
function showPiped(value: unknown): string {
  if (value === undefined) return "";
  return value === null ? "<no value>" : showValue(value);
}

class LoopExit {
  readonly kind: "break" | "continue";

  constructor(kind: "break" | "continue") {
    this.kind = kind;
  }
}

/** An operand that was given as the last argument through a pipe; undefined means none was. */
interface Piped {
  value: unknown;
}

/**
 * Runs a template on data: strings, numbers, booleans, null, arrays, records, and maps (a `Map`, or an object without prototype,
 * for keys from outside). The text that comes out is as the data had it: see `renderTemplate` for what may be shown.
 * @throws {DugoutError} TEMPLATE, in docker's words, with the place.
 */
export function executeTemplate(template: Template, data: unknown, rules: ExecuteRules = {}): string {
  let steps = 0;
  let calls = 0;
  let length = 0;
  const out: string[] = [];
  const variables: { name: string; value: unknown }[] = [{ name: "$", value: data }];

  const fail = (at: number, shown: string, message: string): Error =>
    templateError(`${placeOf(template.source, at)}`, `executing "" at <${shorten(shown)}>: ${message}`);
  const step = (): void => {
    if (++steps > MAX_STEPS) throw templateError("1", `more than ${MAX_STEPS} steps`);
  };
  const write = (text: string): void => {
    length += text.length;
    if (length > MAX_OUTPUT) throw templateError("1", "more than 64 MB of text");
    out.push(text);
  };

  const run = (nodes: readonly Node[], dot: unknown): void => {
    const scope = variables.length;
    for (const node of nodes) {
      step();
      switch (node.kind) {
        case "text":
          write(node.text);
          break;
        case "action": {
          const value = evaluatePipeline(node.pipeline, dot);
          if (node.pipeline.variables.length === 0) write(showPiped(value));
          break;
        }
        case "if":
        case "with":
          runCondition(node.kind, node.pipeline, node.body, node.otherwise, dot);
          break;
        case "range":
          runRange(node.pipeline, node.body, node.otherwise, dot);
          break;
        case "template":
          runDefined(node.at, node.name, node.pipeline, dot);
          break;
        case "break":
        case "continue":
          throw new LoopExit(node.kind);
        default:
          throw new Error(`Unknown node ${node satisfies never}`);
      }
    }
    variables.length = scope;
  };

  const runCondition = (
    kind: "if" | "with",
    pipeline: Pipeline,
    body: readonly Node[],
    otherwise: readonly Node[],
    dot: unknown,
  ): void => {
    const scope = variables.length;
    const value = evaluatePipeline(pipeline, dot);
    if (isTrue(value)) run(body, kind === "with" ? value : dot);
    else run(otherwise, dot);
    variables.length = scope;
  };

  const runRange = (
    pipeline: Pipeline,
    body: readonly Node[],
    otherwise: readonly Node[],
    dot: unknown,
  ): void => {
    const scope = variables.length;
    const value = evaluateCommands(pipeline, dot);
    const last = pipeline.commands.at(-1);
    const pairs = listPairs(value);
    if (pairs === undefined) {
      throw fail(
        last?.at ?? 0,
        last === undefined ? "" : showCommand(last),
        `range can't iterate over ${showValue(value)}`,
      );
    }
    let isEmpty = true;
    for (const [key, element] of pairs) {
      step();
      isEmpty = false;
      variables.length = scope;
      bind(pipeline, pipeline.variables.length === 2 ? [key, element] : [element]);
      try {
        run(body, element);
      } catch (error) {
        if (!(error instanceof LoopExit)) throw error;
        if (error.kind === "break") break;
      }
    }
    variables.length = scope;
    if (isEmpty) run(otherwise, dot);
  };

  const runDefined = (at: number, name: string, pipeline: Pipeline | undefined, dot: unknown): void => {
    const body = template.defined.get(name);
    if (body === undefined) throw fail(at, `{{template "${name}"}}`, `template "${name}" not defined`);
    if (++calls > MAX_CALLS) throw fail(at, `{{template "${name}"}}`, `exceeded maximum template depth (${MAX_CALLS})`);
    const value = pipeline === undefined ? undefined : evaluatePipeline(pipeline, dot);
    const outer = variables.splice(0, variables.length, { name: "$", value });
    run(body, value);
    variables.splice(0, variables.length, ...outer);
    calls--;
  };

  /** Gives values to the variables of a pipeline. */
  const bind = (pipeline: Pipeline, values: readonly unknown[]): void => {
    for (const [i, name] of pipeline.variables.entries()) {
      const known = pipeline.declares ? undefined : variables.findLast((variable) => variable.name === name);
      if (known === undefined) variables.push({ name, value: values[i] });
      else known.value = values[i];
    }
  };

  const evaluatePipeline = (pipeline: Pipeline, dot: unknown): unknown => {
    const value = evaluateCommands(pipeline, dot);
    bind(pipeline, [value]);
    return value;
  };

  const evaluateCommands = (pipeline: Pipeline, dot: unknown): unknown => {
    let piped: Piped | undefined;
    for (const command of pipeline.commands) piped = { value: evaluateCommand(command, dot, piped) };
    return piped?.value;
  };

  const evaluateCommand = (command: CommandNode, dot: unknown, piped: Piped | undefined): unknown => {
    step();
    const [first, ...rest] = command.operands;
    if (first === undefined) throw new Error("A command without operands was parsed");
    if (first.kind === "function") return callWith(command, first, rest, dot, piped);
    if (first.kind === "nil") throw fail(first.at, "nil", "nil is not a command");
    if (rest.length > 0 || piped !== undefined) {
      const name = first.kind === "field" ? first.names.at(-1) ?? "" : showOperand(first);
      const what = first.kind === "field" || first.kind === "chain"
        ? `${name} is not a method but has arguments`
        : `can't give argument to non-function ${showOperand(first)}`;
      throw fail(first.at, showOperand(first), what);
    }
    return evaluateOperand(first, dot);
  };

  const callWith = (
    command: CommandNode,
    called: Operand & { kind: "function" },
    operands: readonly Operand[],
    dot: unknown,
    piped: Piped | undefined,
  ): unknown => {
    const { name } = called;
    const wrongCount = checkCount(name, operands.length + (piped === undefined ? 0 : 1));
    if (wrongCount !== undefined) throw fail(called.at, name, wrongCount);
    const args: unknown[] = [];
    for (const [i, operand] of operands.entries()) {
      const value = evaluateOperand(operand, dot);
      const complaint = checkArgument(name, i, value);
      if (complaint !== undefined) {
        const isConstant = operand.kind === "constant";
        throw fail(
          operand.at,
          showOperand(operand),
          isConstant ? `expected ${wantedType(name, i)}; found ${showOperand(operand)}` : complaint,
        );
      }
      args.push(value);
      // what does not matter any more is not evaluated
      if ((name === "and" && !isTrue(value)) || (name === "or" && isTrue(value))) return value;
    }
    if (piped !== undefined) {
      const complaint = checkArgument(name, operands.length, piped.value);
      if (complaint !== undefined) throw fail(called.at, name, complaint);
      args.push(piped.value);
    }
    try {
      return callFunction(name, args);
    } catch (error) {
      if (!(error instanceof FunctionFailure)) throw error;
      throw fail(command.at, showCommand(command), `error calling ${name}: ${error.message}`);
    }
  };

  const evaluateOperand = (operand: Operand, dot: unknown): unknown => {
    step();
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return undefined;
      case "constant":
        return operand.value;
      case "field":
        return follow(operand, dot, operand.names);
      case "variable":
        return follow(operand, variables.findLast((variable) => variable.name === operand.name)?.value, operand.names);
      case "chain":
        return follow(operand, evaluateOperand(operand.base, dot), operand.names);
      case "pipeline":
        return evaluatePipeline(operand.pipeline, dot);
      case "function":
        return callWith({ at: operand.at, operands: [operand] }, operand, [], dot, undefined);
      default:
        throw new Error(`Unknown operand ${operand satisfies never}`);
    }
  };

  /** Follows `.A.B` from a value. */
  const follow = (operand: Operand, start: unknown, names: readonly string[]): unknown => {
    let value = start;
    for (const name of names) {
      const kind = kindOf(value);
      if (kind !== "map" && kind !== "struct") {
        const message = kind === "nil"
          ? `nil pointer evaluating interface {}.${name}`
          : `can't evaluate field ${name} in type ${typeName(value)}`;
        throw fail(operand.at, showOperand(operand), message);
      }
      const found = lookUp(value, name);
      if (!found.has && !(rules.allowsMissingEntries === true && kindOf(value) === "map")) {
        const message = rules.describeMissing?.(name, value) ?? `map has no entry for key "${name}"`;
        throw fail(operand.at, showOperand(operand), message);
      }
      value = found.has ? found.value : null;
    }
    if (typeof value === "string" && names.length > 0 && rules.readText !== undefined) return rules.readText(value);
    return value;
  };

  run(template.nodes, data);
  return out.join("");
}

/** The pairs that a range goes over; undefined when there is nothing to go over. */
function listPairs(value: unknown): Iterable<readonly [unknown, unknown]> | undefined {
  switch (kindOf(value)) {
    case "nil":
      return [];
    case "slice":
      return (value as unknown[]).entries();
    case "map":
    case "struct":
      return entriesOf(value as object);
    case "int":
      return countUp(Number(value));
    default:
      return undefined;
  }
}

function* countUp(count: number): Generator<readonly [number, number]> {
  for (let i = 0; i < count; i++) yield [i, i];
}

/** Line and byte of an index, as Go counts them: lines from 1, bytes from 0. */
function placeOf(source: string, at: number): string {
  const before = source.slice(0, at);
  const line = before.split("\n").length;
  return `${line}:${new TextEncoder().encode(before.slice(before.lastIndexOf("\n") + 1)).length}`;
}

function shorten(text: string): string {
  const characters = [...escapeText(text)];
  return characters.length <= 20 ? characters.join("") : characters.slice(0, 20).join("") + "...";
}
