import test from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { needs, runCommand } from "./harness.ts";
import { writeRelease } from "../dist/build.mjs";

const NAME = `dugout-${arch() === "arm64" ? "aarch64" : "x86_64"}`;
const SKIP = needs("openssl", "curl");

type Release = { folder: string; target: string; key: KeyObject };

/** A release whose binary is a script that says its version, and an empty place to install it to. */
async function withRelease(version: string, work: (release: Release) => void | Promise<void>): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), "dugout-release-"));
  try {
    const { privateKey } = generateKeyPairSync("ed25519");
    const folder = join(path, "release");
    mkdirSync(folder);
    layRelease(folder, version, privateKey);
    await work({ folder, target: join(path, "bin"), key: privateKey });
  } finally {
    rmSync(path, { recursive: true });
  }
}

function layRelease(folder: string, version: string, key: KeyObject): void {
  const binary = `#!/bin/sh\necho "dugout version ${version}"\n`;
  writeFileSync(join(folder, NAME), binary);
  const digest = createHash("sha256").update(binary).digest("hex");
  writeRelease(folder, [`# dugout ${version} 2026-01-01`, `${digest}  ${NAME}`], key);
}

function install({ folder, target }: Release, ...args: string[]): { code: number | null; stderr: string } {
  const argv = [join(folder, "install.sh"), "--from", folder, "--to", target, ...args];
  const { status, stderr } = spawnSync("sh", argv, { encoding: "utf8", timeout: 20_000 });
  return { code: status, stderr };
}

function installed({ target }: Release): string[] {
  return existsSync(target) ? readdirSync(target) : [];
}

test(
  "a release is installed: the binary alone, executable, beside nothing half-written",
  { skip: !!SKIP },
  () =>
    withRelease("1.2.3", (release) => {
      const { code, stderr } = install(release);
      assert.equal(code, 0, stderr);
      assert.deepEqual(installed(release), ["dugout"]);
      assert.equal(spawnSync(join(release.target, "dugout"), { encoding: "utf8" }).stdout, "dugout version 1.2.3\n");
    }),
);

const SPOILERS: [string, (release: Release) => void][] = [
  ["the binary of a release is changed", ({ folder }) => writeFileSync(join(folder, NAME), "#!/bin/sh\necho evil\n")],
  [
    "the binary is cut short",
    ({ folder }) => writeFileSync(join(folder, NAME), readFileSync(join(folder, NAME)).subarray(0, 20)),
  ],
  ["the list of digests is changed", ({ folder }) => {
    const evil = createHash("sha256").update("evil").digest("hex");
    writeFileSync(join(folder, NAME), "evil");
    writeFileSync(join(folder, "SHA256SUMS"), `# dugout 9.9.9 2026-01-01\n${evil}  ${NAME}\n`);
  }],
  ["the signature is of another list", (release) => {
    const other = join(release.folder, "other");
    mkdirSync(other);
    layRelease(other, "1.2.4", release.key);
    writeFileSync(join(release.folder, "SHA256SUMS.sig"), readFileSync(join(other, "SHA256SUMS.sig")));
  }],
  ["the signature is by another key", (release) => {
    const installer = readFileSync(join(release.folder, "install.sh"));
    layRelease(release.folder, "1.2.3", generateKeyPairSync("ed25519").privateKey);
    writeFileSync(join(release.folder, "install.sh"), installer);
  }],
  ["the signature is empty", ({ folder }) => writeFileSync(join(folder, "SHA256SUMS.sig"), "")],
  ["the signature is missing", ({ folder }) => rmSync(join(folder, "SHA256SUMS.sig"))],
  [
    "the list does not name this processor",
    ({ folder, key }) => writeRelease(folder, ["# dugout 1.2.3 2026-01-01", "ab  x"], key),
  ],
  ["the list does not say its version", ({ folder, key }) => writeRelease(folder, [`${"a".repeat(64)}  ${NAME}`], key)],
];

for (const [fault, spoil] of SPOILERS) {
  test(`A-105 nothing is installed when ${fault}`, { skip: !!SKIP }, () =>
    withRelease("1.2.3", (release) => {
      spoil(release);
      const { code, stderr } = install(release);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /^install: /m);
      assert.deepEqual(
        installed(release).filter((name) => name !== "dugout" || existsSync(join(release.target, name))),
        [],
      );
    }));
}

test(
  "A-105 nothing is fetched by plain http, and no redirect leads there",
  { skip: !!SKIP },
  () =>
    withRelease("1.2.3", async (release) => {
      const requests: string[] = [];
      const server = createServer((request, response) => {
        requests.push(request.url ?? "");
        response.end("x");
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const argv = [
        "sh",
        join(release.folder, "install.sh"),
        "--to",
        release.target,
        "--from",
        `http://127.0.0.1:${port}`,
      ];
      const { code, stderr } = await runCommand(argv, { env: { PATH: "/usr/bin:/bin" } });
      await new Promise((resolve) => server.close(resolve));
      assert.equal(code, 1);
      assert.match(stderr, /wants https:/);
      assert.deepEqual(requests, []);
    }),
);

test(
  "A-106 an older release does not replace a newer one, unless that is asked for",
  { skip: !!SKIP },
  () =>
    withRelease("1.10.0", (release) => {
      assert.equal(install(release).code, 0);
      layRelease(release.folder, "1.9.9", release.key);
      const { code, stderr } = install(release);
      assert.equal(code, 1);
      assert.match(stderr, /1\.9\.9 is older than 1\.10\.0/);
      assert.equal(install(release, "--allow-older").code, 0);
      assert.equal(spawnSync(join(release.target, "dugout"), { encoding: "utf8" }).stdout, "dugout version 1.9.9\n");
      layRelease(release.folder, "1.10.0", release.key);
      assert.equal(install(release).code, 0);
    }),
);

test(
  "an installation replaces a link and never writes through it",
  { skip: !!SKIP },
  () =>
    withRelease("1.2.3", (release) => {
      mkdirSync(release.target);
      const other = join(release.folder, "other");
      writeFileSync(other, "precious");
      chmodSync(other, 0o600);
      symlinkSync(other, join(release.target, "dugout"));
      assert.equal(install(release).code, 0);
      assert.equal(readFileSync(other, "utf8"), "precious");
    }),
);

test(
  "the template of the installer installs nothing: it has no key",
  { skip: !!SKIP },
  () =>
    withRelease("1.2.3", (release) => {
      const template = join(import.meta.dirname ?? "", "../dist/install.sh");
      const { status, stderr } = spawnSync("sh", [template, "--from", release.folder, "--to", release.target], {
        encoding: "utf8",
      });
      assert.equal(status, 1);
      assert.match(stderr, /has no key/);
    }),
);
