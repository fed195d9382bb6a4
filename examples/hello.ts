// The embedded image, which needs no network: run it, and look at what it wrote.
import { images, run } from "dugout";

const { exitCode, stdout, durationMs } = await run({ image: "hello", network: "none" });

console.log(stdout.split("\n")[0]);
console.log(`It ended with ${exitCode} after ${Math.round(durationMs)} ms.`);
for (const { names, platform, sizeBytes } of await images()) console.log(names.join(", "), platform, sizeBytes);
