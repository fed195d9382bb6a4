import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DEFAULT_LAYER_LIMITS } from "#storage/layer_limits.ts";
import { loadLayerLimits } from "./layer_limits_conf.ts";

async function withConf<T>(text: string | undefined, work: (places: { env: object; home: string }) => Promise<T>) {
  const home = mkdtempSync(join(tmpdir(), "dugout-limits-"));
  try {
    mkdirSync(join(home, ".config/dugout"), { recursive: true });
    if (text !== undefined) writeFileSync(join(home, ".config/dugout/layers.toml"), text);
    return await work({ env: {}, home });
  } finally {
    rmSync(home, { recursive: true });
  }
}

test("A-097 limits on layers are the user's to set; what is not set stays", async () => {
  const load = (text: string | undefined) => withConf(text, (places) => loadLayerLimits({ ...places, env: {} }));
  assert.deepEqual(await load(undefined), DEFAULT_LAYER_LIMITS);
  assert.deepEqual(await load(""), DEFAULT_LAYER_LIMITS);
  assert.deepEqual(await load("max-entries = 5_000_000\nmax-ratio = 2000\n"), {
    ...DEFAULT_LAYER_LIMITS,
    maxEntries: 5_000_000,
    maxRatio: 2000,
  });
  assert.deepEqual(await load("max-file-size = 10\nmax-total-size = 20"), {
    ...DEFAULT_LAYER_LIMITS,
    maxFileBytes: 10,
    maxTotalBytes: 20,
  });
});

test("a layers.toml with a word, a name or a number that is none is refused with its place", async () => {
  for (
    const text of ["max-entries = 'many'", "max-entrys = 5", "max-ratio = 0", "max-ratio = 1.5", "[", "max-ratio = -1"]
  ) {
    await withConf(
      text,
      (places) =>
        assert.rejects(loadLayerLimits({ ...places, env: {} }), {
          code: "LAYERS_CONF_INVALID",
          message: /layers\.toml/,
        }),
    );
  }
});
