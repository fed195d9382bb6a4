/**
 * Units under a real systemd: a guest in QEMU with user managers, booted once, in which systemd.sh makes all checks as a user
 * with subordinate ids (alice) and as one without (bob).
 */
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { CACHE, DUGOUT, runCommand } from "../harness.ts";
import { LIMIT_CHECKS } from "../support/limit_checks.ts";
import { findVerdict } from "../support/guest_report.ts";

const KERNELS = process.env["DUGOUT_TEST_KERNELS"] ?? join(import.meta.dirname ?? "", "../../../shared/kernels");
/** The scripts that make and boot the guest lie beside those of the plain kernels. */
const VM = join(dirname(KERNELS), "vm");
const MINUTE_MS = 60_000;
const BOOT_SECONDS = 1500;

const CHECKS = [
  "generator",
  "start",
  "control group",
  "journal",
  "label",
  "stop",
  "signal",
  "removed",
  "restart by systemd",
  "dryrun",
  "install",
  "generate systemd",
  "start with the machine",
  "no process left",
];

function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  if (process.arch !== "x64") return "needs an amd64 machine";
  if (!existsSync(join(VM, "vm-run"))) return `needs the guest's scripts in ${VM}`;
  return existsSync(join(CACHE, "layouts/multi-1")) ? false : "needs tests/setup";
}

/** Boots the guest, and gives what the checks printed. */
async function runGuest(): Promise<string> {
  const env = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: process.env["HOME"] ?? "/root",
  };
  const built = await runCommand([join(VM, "vm-build")], { env, timeoutMs: 15 * MINUTE_MS });
  assert.equal(built.code, 0, built.stdout + built.stderr);
  const share = mkdtempSync(join(tmpdir(), "dugout-guest-"));
  try {
    chmodSync(share, 0o755);
    cpSync(DUGOUT, join(share, "dugout"));
    for (const name of ["systemd.sh", "limits.sh"]) {
      copyFileSync(join(import.meta.dirname ?? "", name), join(share, name));
    }
    for (const name of ["dugout", "systemd.sh", "limits.sh"]) chmodSync(join(share, name), 0o755);
    const archive = `docker-archive:${join(share, "busybox.tar")}:busybox:latest`;
    const layout = `oci:${join(CACHE, "layouts/multi-1")}:latest`;
    const packed = await runCommand(["skopeo", "copy", "-q", "--override-arch", "amd64", layout, archive], { env });
    assert.equal(packed.code, 0, packed.stderr);
    chmodSync(join(share, "busybox.tar"), 0o644);
    const options = ["--user", "root", "--timeout", String(BOOT_SECONDS), "--share", share];
    const { stdout, stderr } = await runCommand(
      [join(VM, "vm-run"), ...options, "--", "/mnt/share/systemd.sh"],
      { env, timeoutMs: (BOOT_SECONDS + 60) * 1000, cwd: dirname(share) },
    );
    assert.match(stdout, /^all checks ran$/m, stdout + stderr);
    return stdout;
  } finally {
    rmSync(share, { recursive: true, force: true });
  }
}

const skip = cannotRun();
if (skip) test(`units work under systemd: ${skip}`, { skip }, () => {});
else {
  let booted: Promise<string> | undefined;
  for (const [user, kind] of [["alice", "with"], ["bob", "without"]] as const) {
    for (
      const check of [
        ...LIMIT_CHECKS,
        "manager executed anew",
        "started before the manager ends",
        "manager restarted",
        "bus gone",
        "A-089 a bus that is no socket",
        "nothing left by the manager",
      ]
    ) {
      test(`C-064 limits by systemd: ${check}, ${kind} subordinate ids`, async () => {
        booted ??= runGuest();
        assert.match(findVerdict(await booted, user, `limits ${check}`), /: ok/);
      });
    }
    for (const check of CHECKS) {
      test(`A-089 units under systemd: ${check}, ${kind} subordinate ids`, async () => {
        booted ??= runGuest();
        const verdict = findVerdict(await booted, user, check);
        assert.match(verdict, /^[\w -]+: ok/, verdict);
      });
    }
  }
}
