/** What a template is made of, once read. `at` is an index in the template, for messages. */

export type Operand =
  | { kind: "dot"; at: number }
  | { kind: "nil"; at: number }
  | { kind: "constant"; at: number; value: unknown; text: string }
  | { kind: "field"; at: number; names: readonly string[] }
  | { kind: "variable"; at: number; name: string; names: readonly string[] }
  | { kind: "function"; at: number; name: string }
  | { kind: "chain"; at: number; base: Operand; names: readonly string[] }
  | { kind: "pipeline"; at: number; pipeline: Pipeline };

export interface CommandNode {
  at: number;
  /** The first is called, or is the value; the others are its arguments. */
  operands: readonly Operand[];
}

export interface Pipeline {
  at: number;
  /** Variables that take the result: one, or two in a range. */
  variables: readonly string[];
  /** `:=` makes them, `=` changes them. */
  declares: boolean;
  commands: readonly CommandNode[];
}

export type Node =
  | { kind: "text"; text: string }
  | { kind: "action"; pipeline: Pipeline }
  | { kind: "if" | "with" | "range"; pipeline: Pipeline; body: readonly Node[]; otherwise: readonly Node[] }
  | { kind: "template"; at: number; name: string; pipeline: Pipeline | undefined }
  | { kind: "break" | "continue" };

export interface Template {
  source: string;
  nodes: readonly Node[];
  /** Bodies of `define` and `block`. */
  defined: ReadonlyMap<string, readonly Node[]>;
}

/** An operand as Go prints it in messages. */
export function showOperand(operand: Operand): string {
  switch (operand.kind) {
    case "dot":
      return ".";
    case "nil":
      return "nil";
    case "constant":
      return operand.text;
    case "field":
      return "." + operand.names.join(".");
    case "variable":
      return [operand.name, ...operand.names].join(".");
    case "function":
      return operand.name;
    case "chain":
      return [showOperand(operand.base), ...operand.names].join(".");
    case "pipeline":
      return `(${showPipeline(operand.pipeline)})`;
    default:
      throw new Error(`Unknown operand ${operand satisfies never}`);
  }
}

export function showCommand(command: CommandNode): string {
  return command.operands.map(showOperand).join(" ");
}

export function showPipeline(pipeline: Pipeline): string {
  const variables = pipeline.variables.length === 0
    ? ""
    : `${pipeline.variables.join(", ")} ${pipeline.declares ? ":=" : "="} `;
  return variables + pipeline.commands.map(showCommand).join(" | ");
}
