// The same check in several surroundings at once; each sees this directory, read-only, and its own environment.
import { run } from "dugout";

const registry = process.env["DUGOUT_EXAMPLE_REGISTRY"] ?? "docker.io/library";

const checks = ["C", "C.UTF-8", "de_DE.UTF-8"].map(async (locale) => {
  const { exitCode, stdout, stderr } = await run({
    image: `${registry}/busybox`,
    command: ["sh", "-c", 'ls /examples | wc -l; echo "$LANG"; test "$LANG" != C'],
    network: "none",
    env: { LANG: locale },
    volumes: [`${import.meta.dirname}:/examples:ro`],
    readOnly: true,
  });
  return `${locale}: ${exitCode === 0 ? "passed" : `failed with ${exitCode}`}, ${
    stdout.trim().split("\n")[0]
  } files${stderr}`;
});

console.log((await Promise.all(checks)).join("\n"));
