import test from "node:test";
import assert from "node:assert/strict";
import { keepProcesses } from "./top_container.ts";

test("of what ps prints the lines of the container's processes are kept, with blanks in the last column", () => {
  const text = "    PID CMD\n      7 sh -c  while :\n      8 other\n     12 [kworker]\n";
  assert.deepEqual(keepProcesses(text, new Set([7, 12])), {
    titles: ["PID", "CMD"],
    processes: [["7", "sh -c while :"], ["12", "[kworker]"]],
  });
});

test("without the column PID nobody can tell whose the lines are", () => {
  assert.throws(() => keepProcesses("RSS\n12\n", new Set([12])), /Couldn't find PID field/);
});
