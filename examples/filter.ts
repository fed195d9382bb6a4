// A container as a filter: numbers go in, sorted ones come out, while more go in.
import { run } from "dugout";

const registry = process.env["DUGOUT_EXAMPLE_REGISTRY"] ?? "docker.io/library";

function* numbers() {
  for (let number = 100; number > 0; number--) yield `${number}\n`;
}

const sorted = run({
  image: `${registry}/busybox`,
  command: ["sort", "-n"],
  network: "none",
  stdin: numbers(),
});

let sum = 0;
const decoder = new TextDecoder();
let rest = "";
for await (const chunk of sorted.stdout) {
  const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) sum += Number(line);
}
const { exitCode } = await sorted;

console.log(`sum ${sum}, exit code ${exitCode}`);
if (sum !== 5050 || exitCode !== 0) process.exit(1);
