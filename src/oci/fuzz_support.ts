/** What a hostile registry may put in place of any value. `1e400` and deep nesting come as raw JSON text. */
export const HOSTILE_JSON: readonly string[] = [
  "null",
  "{}",
  "[]",
  '""',
  "-1",
  "1e400",
  "9007199254740993",
  "true",
  '"\\u0000"',
  "[".repeat(200) + "]".repeat(200),
  '{"__proto__":{"x":1}}',
];

/** Every variant of a JSON document in which one node is replaced by one of `HOSTILE_JSON`. */
export function* mutateJson(document: unknown): Generator<string> {
  const marker = "\u0001marker\u0001";
  function* walk(node: unknown, place: (replacement: unknown) => unknown): Generator<unknown> {
    yield place(marker);
    if (Array.isArray(node)) {
      for (let at = 0; at < node.length; at++) {
        yield* walk(node[at], (replacement) => place(node.map((item, index) => (index === at ? replacement : item))));
      }
    } else if (typeof node === "object" && node !== null) {
      for (const [key, value] of Object.entries(node)) {
        yield* walk(value, (replacement) => place({ ...node, [key]: replacement }));
      }
    }
  }
  const quoted = JSON.stringify(marker);
  for (const variant of walk(document, (replacement) => replacement)) {
    for (const hostile of HOSTILE_JSON) yield JSON.stringify(variant).replace(quoted, () => hostile);
  }
}
