/**
 * Layers made by hand and unpacked into a temporary directory, for tests.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Digest } from "#oci/digest.ts";
import { craftTar } from "#tar/testing.ts";
import { DEFAULT_LAYER_LIMITS, type LayerLimits } from "./layer_limits.ts";
import type { LayerTreeResult } from "./layer_tree.ts";
import { openLayers } from "./layers.ts";
import { removePath } from "./remove_tree.ts";
import { unpackInto, unpackLayer, type UnpackResult } from "./unpack.ts";

/** Entries for `craftTar`. */
export type Members = Parameters<typeof craftTar>[0];

/** A directory for one test, with a canary beside the places that layers are unpacked to. */
export type TestLayers = {
  readonly path: string;
  /** A directory outside of every layer that nothing may change; a layer may try. */
  readonly canary: string;
  /** Where {@linkcode store} puts layers: `layers/single` of a store. */
  readonly layers: string;
  /** Unpacks an archive into a new directory. */
  unpack(archive: Members | Uint8Array, limits?: Partial<LayerLimits>): Promise<Unpacked>;
  /** Unpacks an archive as a layer of a store. */
  store(archive: Members | Uint8Array): Promise<{ diffId: Digest; result: UnpackResult }>;
  [Symbol.dispose](): void;
};

export type Unpacked = { readonly diff: string; readonly tree: LayerTreeResult };

export function makeTestLayers(): TestLayers {
  const path = mkdtempSync(join(tmpdir(), "dugout-layers-"));
  const canary = join(path, "canary");
  mkdirSync(canary, { mode: 0o700 });
  writeFileSync(join(canary, "file"), "canary", { mode: 0o600 });
  const layers = openLayers(join(path, "root"), "single");
  let count = 0;
  const write = (archive: Members | Uint8Array) => {
    const bytes = archive instanceof Uint8Array ? archive : craftTar(archive);
    const blob = join(path, `blob${++count}`);
    writeFileSync(blob, bytes);
    return { blob, bytes };
  };
  return {
    path,
    canary,
    layers,
    async unpack(archive, limits = {}) {
      const { blob } = write(archive);
      const diff = join(path, `diff${count}`);
      const plan = { blob, ownership: "single" as const, limits: { ...DEFAULT_LAYER_LIMITS, ...limits } };
      return { diff, tree: (await unpackInto(diff, plan)).tree };
    },
    async store(archive) {
      const { blob, bytes } = write(archive);
      const diffId = `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
      return { diffId, result: await unpackLayer({ layers, diffId, blob, ownership: "single" }) };
    },
    [Symbol.dispose]: () => void removePath(path),
  };
}

/**
 * A tree, one line an entry, in order: name, kind and mode, then content, target, or nothing.
 * Whiteouts are `whiteout`; a second name of a file is `= FIRST`.
 */
export function listLayer(root: string): string[] {
  const lines: string[] = [];
  const seen = new Map<bigint, string>();
  const walk = (name: string) => {
    const path = join(root, name);
    for (const child of readdirSync(path).sort()) {
      const below = name === "" ? child : `${name}/${child}`;
      const stat = lstatSync(join(root, below), { bigint: true });
      const mode = (Number(stat.mode) & 0o7777).toString(8);
      const first = stat.isDirectory() || stat.nlink === 1n ? undefined : seen.get(stat.ino);
      if (first !== undefined) {
        lines.push(`${below} = ${first}`);
        continue;
      }
      seen.set(stat.ino, below);
      if (stat.isDirectory()) {
        lines.push(`${below}/ ${mode}`);
        walk(below);
      } else if (stat.isSymbolicLink()) lines.push(`${below} -> ${readlinkSync(join(root, below))}`);
      else if (stat.isFIFO()) lines.push(`${below} fifo ${mode}`);
      else if (stat.isCharacterDevice()) lines.push(`${below} ${stat.rdev === 0n ? "whiteout" : "device"}`);
      else lines.push(`${below} ${mode} ${JSON.stringify(readFileSync(join(root, below), "latin1"))}`);
    }
  };
  walk("");
  return lines;
}
