/**
 * `pull` of ten layers, 500 MB unpacked, from a registry on the loopback: beside podman, and beside each of its parts
 * alone, two layers at a time as there are two cores.
 */
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Contender, measureInTurn, medianMs, peakBytes } from "./support/measure.ts";
import { formatMiB, printProcessorTime, printSamples, printTargets } from "./support/report.ts";
import { CACHE, DUGOUT, REGISTRY, removal, withDirectory } from "./support/setting.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 5);

await withDirectory((path) => {
  const image = `${REGISTRY}/bench`;
  const ours = { HOME: join(path, "home") };
  mkdirSync(ours.HOME, { mode: 0o700 });
  const store = join(ours.HOME, ".local");
  // named, or podman takes vfs, which copies all layers below with each
  const podman = [
    "podman",
    "--storage-driver",
    "overlay",
    "--root",
    join(path, "podman"),
    "--runroot",
    join(path, "podman-run"),
  ];
  const podmanFolders = [join(path, "podman"), join(path, "podman-run")];

  const blobs = listLayers();
  const raw = join(path, "raw");
  const written = join(path, "written");
  mkdirSync(raw);
  // what one has written or removed is on the disk before the next begins
  const settle = ["sync", "-f", path];
  const clear = (...paths: string[]) => ["/bin/sh", "-c", '"$@" && sync -f "$0"', path, ...removal(...paths)];
  const part = (name: string, ...args: string[]): Contender => ({
    name,
    before: settle,
    argv: [process.execPath, join(import.meta.dirname ?? "", "support/pull_part.ts"), name, ...args],
  });
  const samples = measureInTurn([
    { name: "dugout pull", argv: [DUGOUT, "pull", "-q", image], before: clear(store), env: ours },
    {
      name: "podman pull",
      argv: [...podman, "pull", "-q", "--tls-verify=false", image],
      before: clear(...podmanFolders),
    },
    part("download", ...blobs.map(({ digest }) => `http://${REGISTRY}/v2/bench/blobs/${digest}`)),
    part("sha256", ...blobs.map(({ file }) => file)),
    part("gunzip", ...blobs.map(({ file }) => file)),
    // the tars are made by the round before the counted ones
    { ...part("write", raw, written, ...blobs.map(({ file }) => file)), before: clear(written) },
  ], ROUNDS);
  printSamples("`pull` of ten layers, 500 MB", samples);
  printProcessorTime(samples);

  const parts = samples.slice(2).sort((a, b) => medianMs(b) - medianMs(a));
  printTargets(samples, [
    { ours: "dugout pull", peer: "podman pull", atMost: 0.5 },
    { ours: "dugout pull", peer: parts[0]?.name ?? "", atMost: 1.3 },
  ]);
  console.log("\n| | largest process |\n| --- | --- |");
  for (const sample of samples.slice(0, 2)) console.log(`| ${sample.name} | ${formatMiB(peakBytes(sample))} |`);
});

/** The layers' blobs in the layout that the registry was filled from. */
function listLayers(): { digest: string; file: string }[] {
  const folder = join(CACHE, "layouts/bench-2/blobs/sha256");
  for (const name of readdirSync(folder)) {
    // layers are not read: this process would grow, and what it starts counts for no less than itself (getrusage(2))
    if (statSync(join(folder, name)).size > 65_536) continue;
    const text = readFileSync(join(folder, name), "utf8");
    if (!text.startsWith('{"schemaVersion"')) continue;
    const manifest: { layers: { digest: string }[] } = JSON.parse(text);
    return manifest.layers.map(({ digest }) => ({ digest, file: join(folder, digest.slice("sha256:".length)) }));
  }
  throw new Error(`No manifest in "${folder}"`);
}
