/** The tour of the README, pasted line by line. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { asBoth, DUGOUT, needsRegistry, REGISTRY } from "./harness.ts";

const README = readFileSync(join(import.meta.dirname ?? "", "../README.md"), "utf8");
const TOUR = /^## A tour\n[^]*?\n```sh\n([^]*?)```\n/m.exec(README)?.[1] ?? "";

asBoth("every line of the README's tour works when pasted", async (box) => {
  const lines = TOUR.trim().split("\n");
  assert.ok(lines.length > 8, "there is a tour");
  // busybox of a registry that is there
  await box.succeed(["pull", "-q", `${REGISTRY}/busybox`]);
  await box.succeed(["tag", `${REGISTRY}/busybox`, "busybox"]);
  await box.run(["sh", "-c", `mkdir bin && ln -s ${DUGOUT} bin/dugout`]);
  const env = { PATH: `${box.home}/bin:${box.environment["PATH"]}` };
  for (const line of lines) {
    const { code, stdout, stderr } = await box.run(["sh", "-c", line], { env });
    assert.equal(code, 0, `${line}\nstdout: ${stdout}\nstderr: ${stderr}`);
  }
  const { stdout } = await box.run(["wc", "-l", "times.txt"]);
  assert.match(stdout, /^[1-9]/);
}, { skip: needsRegistry() });
