/** From exec to exit of a container that does nothing, beside the peers. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Contender, measureInTurn, runOrFail } from "./support/measure.ts";
import { printSamples, printTargets } from "./support/report.ts";
import { DUGOUT, REGISTRY, unpackBusybox, withDirectory } from "./support/setting.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 30);

await withDirectory((path) => {
  const image = `${REGISTRY}/busybox`;
  runOrFail([DUGOUT, "pull", "-q", image]);
  runOrFail(["podman", "pull", "-q", "--tls-verify=false", image]);
  const rootfs = join(path, "bundle/rootfs");
  unpackBusybox(rootfs);

  const quiet = ["run", "--rm", "--network", "none", image, "true"];
  const contenders: Contender[] = [
    { name: "dugout", argv: [DUGOUT, ...quiet] },
    {
      name: "bwrap",
      argv: ["bwrap", "--unshare-all", "--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "true"],
    },
    { name: "runc run", argv: ["runc", "--root", join(path, "runc"), "run", "--bundle", prepareBundle(path), "bench"] },
    { name: "podman", argv: ["podman", ...quiet] },
  ];
  const samples = measureInTurn(contenders, ROUNDS);
  printSamples("`run --rm --network none busybox true`", samples);
  printTargets(samples, [
    { ours: "dugout", peer: "podman", atMost: 0.15 },
    { ours: "dugout", peer: "runc run", atMost: 0.5 },
    { ours: "dugout", peer: "bwrap", atMost: 2.5 },
  ]);
});

/** What `runc spec` suggests for a user without root, with `true` as its command. */
function prepareBundle(path: string): string {
  const bundle = join(path, "bundle");
  mkdirSync(bundle, { recursive: true });
  runOrFail(["runc", "spec", "--rootless", "--bundle", bundle]);
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8"));
  config.process.terminal = false;
  config.process.args = ["true"];
  config.linux.namespaces.push({ type: "network" });
  writeFileSync(file, JSON.stringify(config));
  return bundle;
}
