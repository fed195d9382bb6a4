import { test } from "node:test";
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { compileSeccomp, planSeccomp, precompiledKey, type SeccompRequest } from "./seccomp.ts";

/** UPDATE_GOLDEN=1 writes the programs anew, after a change of the default policy or the compiler. */
const rewrites = process.env["UPDATE_GOLDEN"] === "1";

const REQUESTS: SeccompRequest[] = (["x86_64", "aarch64"] as const).flatMap((arch) =>
  [false, true].map((singleId): SeccompRequest => ({
    arch,
    profile: "default",
    capabilities: DEFAULT_CAPABILITIES,
    kernel: [6, 1],
    singleId,
    guardTerminal: false,
  }))
);

function fileText(): string {
  const lines = REQUESTS.map((request) => {
    const program = Buffer.from(compileSeccomp(request)!.program).toString("base64");
    return `  "${precompiledKey(request)}": "${program}",`;
  });
  return `// deno-fmt-ignore-file: written by seccomp_precompiled_test.ts (UPDATE_GOLDEN=1), which also compares it

/** The default filters for Docker's default capabilities: struct sock_filter[] in base64. */
export const PRECOMPILED = {
${lines.join("\n")}
} as const;
`;
}

test("the filters that are kept ready are those that the policies make (UPDATE_GOLDEN=1 rewrites)", () => {
  if (rewrites) writeFileSync(new URL("./seccomp_precompiled.ts", import.meta.url), fileText());
  else for (const request of REQUESTS) assert.deepEqual(planSeccomp(request), compileSeccomp(request));
});

test("the caller's terminal and the kernel's version change nothing in the default", () => {
  for (const request of REQUESTS) {
    assert.deepEqual(compileSeccomp({ ...request, guardTerminal: true, kernel: [5, 10] }), compileSeccomp(request));
  }
});
