import { chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox } from "./sandbox.ts";

/** A config.json as tests change it. */
export type Config = {
  process: Record<string, unknown> & { args: string[]; env: string[]; terminal?: boolean };
  root: Record<string, unknown>;
  mounts: Record<string, unknown>[];
  hooks?: Record<string, unknown>;
  annotations?: Record<string, string>;
  linux: Record<string, unknown> & { namespaces: { type: string; path?: string }[] };
} & Record<string, unknown>;

const TOOLS = [
  "sh",
  "cat",
  "echo",
  "env",
  "false",
  "grep",
  "id",
  "kill",
  "ls",
  "mount",
  "pwd",
  "readlink",
  "wc",
  "sleep",
  "true",
  "umask",
];

/** Where a static busybox is. */
export const BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));

/**
 * Makes a bundle in the sandbox's home: busybox, and what `dugout runtime spec` writes.
 * @param change What the test wants otherwise.
 * @returns Its directory.
 */
export async function makeBundle(box: Sandbox, name: string, change: (config: Config) => void): Promise<string> {
  const bundle = join(box.home, name);
  const rootfs = join(bundle, "rootfs");
  for (const directory of ["", "bin", "proc", "sys", "dev", "tmp", "etc"]) {
    mkdirSync(join(rootfs, directory), { recursive: true });
  }
  copyFileSync(BUSYBOX!, join(rootfs, "bin/busybox"));
  for (const tool of TOOLS) symlinkSync("busybox", join(rootfs, "bin", tool));
  if (process.getuid?.() === 0) {
    for (
      const path of [
        bundle,
        rootfs,
        ...["bin", "proc", "sys", "dev", "tmp", "etc"].map((part) => join(rootfs, part)),
      ]
    ) {
      chownSync(path, box.user.uid, box.user.gid);
    }
  }
  const rootless = box.user.uid === 0 ? [] : ["--rootless"];
  await box.succeed(["runtime", "spec", ...rootless, "--bundle", bundle]);
  changeConfig(bundle, (config) => {
    config.process.terminal = false;
    change(config);
  });
  return bundle;
}

/** Changes a bundle's config.json. */
export function changeConfig(bundle: string, change: (config: Config) => void): void {
  const path = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8")) as Config;
  change(config);
  writeFileSync(path, JSON.stringify(config));
}
