// A service that lives on while a script works with it: started, entered, read, and gone at the end of the block.
import { start } from "dugout";

const registry = process.env["DUGOUT_EXAMPLE_REGISTRY"] ?? "docker.io/library";

await using queue = await start({
  image: `${registry}/busybox`,
  command: ["sh", "-c", "mkfifo /queue; echo ready; while read -r job <>/queue; do echo done: $job; done"],
  network: "none",
});

for await (const { text } of queue.logs({ follow: true })) {
  if (text.includes("ready")) break;
}

const { exitCode } = await queue.exec(["sh", "-c", 'for job in "$@"; do echo $job; done >/queue', "sh", "one", "two"]);

let answers = "";
for await (const { text } of queue.logs({ follow: true, signal: AbortSignal.timeout(60_000) })) {
  answers += text;
  if (answers.includes("done: two")) break;
}

console.log(`${answers}exit code ${exitCode}, ${(await queue.inspect()).State.Status}`);
