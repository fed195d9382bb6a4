// A job that may take two seconds and no more: an AbortSignal kills it, and nothing of it is left.
import { run } from "dugout";

const registry = process.env["DUGOUT_EXAMPLE_REGISTRY"] ?? "docker.io/library";
const image = `${registry}/busybox`;

try {
  await run({ image, command: ["sleep", "600"], network: "none", signal: AbortSignal.timeout(2000) });
  process.exit(1);
} catch (error) {
  if (!(error instanceof Error) || error.name !== "TimeoutError") throw error;
  console.log(`The job was ended: ${error.message}`);
}
