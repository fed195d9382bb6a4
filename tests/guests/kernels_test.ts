/**
 * The same binary under other kernels and on the other processor: guests in QEMU, each booted once, in which inside.sh makes
 * all checks as a user with subordinate ids (alice) and as one without (bob).
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
const MINUTE_MS = 60_000;
const BOOT_SECONDS = 1200;

const CHECKS = [
  "version",
  "hello",
  "load",
  "images",
  "run",
  "exit code",
  "signal",
  "not found",
  "stdin",
  "write",
  "unchanged image",
  "other user",
  "volume",
  "read-only",
  "masks",
  "keep-id",
  "nomap",
  "vfs",
  "info",
  "check",
  "explain",
  "C-067 no user namespaces",
  "C-067 what works without",
  "C-067 what to ask for",
  "no process left",
  "no mount left",
  "no container left",
];

type Guest = { arch: "amd64" | "arm64"; kernel: string };

const GUESTS: Guest[] = (["amd64", "arm64"] as const).flatMap((arch) =>
  ["5.10", "6.1", "6.12"].map((kernel) => ({ arch, kernel }))
);

function binaryFor(arch: Guest["arch"]): string {
  const native = process.arch === "arm64" ? "arm64" : "amd64";
  return arch === native ? DUGOUT : `${DUGOUT}-${arch}`;
}

function cannotRun({ arch }: Guest): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  if (!existsSync(join(KERNELS, "kernel-run"))) return `needs the guests' scripts in ${KERNELS}`;
  if (!existsSync(binaryFor(arch))) return `needs ${binaryFor(arch)} (npm run build:${arch})`;
  return existsSync(join(CACHE, "layouts/multi-1")) ? false : "needs tests/setup";
}

/** Limits take most of a guest's time: the oldest kernel and the newest tell enough. */
function hasLimitChecks({ arch, kernel }: Guest): boolean {
  return arch === "amd64" && kernel !== "6.1";
}

/** Boots the guest, and gives what the checks printed. */
async function runGuest({ arch, kernel }: Guest): Promise<string> {
  const env = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: process.env["HOME"] ?? "/root",
  };
  const built = await runCommand([join(KERNELS, "kernel-build"), "--arch", arch], { env, timeoutMs: 15 * MINUTE_MS });
  assert.equal(built.code, 0, built.stdout + built.stderr);
  const share = mkdtempSync(join(tmpdir(), "dugout-guest-"));
  try {
    chmodSync(share, 0o755);
    cpSync(binaryFor(arch), join(share, "dugout"));
    for (const name of ["inside.sh", "limits.sh"]) {
      copyFileSync(join(import.meta.dirname ?? "", name), join(share, name));
    }
    for (const name of ["dugout", "inside.sh", "limits.sh"]) chmodSync(join(share, name), 0o755);
    const archive = `docker-archive:${join(share, "busybox.tar")}:busybox:latest`;
    const layout = `oci:${join(CACHE, "layouts/multi-1")}:latest`;
    const packed = await runCommand(["skopeo", "copy", "-q", "--override-arch", arch, layout, archive], { env });
    assert.equal(packed.code, 0, packed.stderr);
    chmodSync(join(share, "busybox.tar"), 0o644);
    const options = [
      "--arch",
      arch,
      "--kernel",
      kernel,
      "--user",
      "root",
      "--timeout",
      String(BOOT_SECONDS),
      "--share",
      share,
    ];
    const limits = hasLimitChecks({ arch, kernel }) ? ["env", "LIMITS=1"] : [];
    const argv = [join(KERNELS, "kernel-run"), ...options, "--", ...limits, "/mnt/share/inside.sh"];
    const { stdout, stderr } = await runCommand(argv, {
      env,
      timeoutMs: (BOOT_SECONDS + 60) * 1000,
      cwd: dirname(share),
    });
    assert.match(stdout, /^all checks ran$/m, stdout + stderr);
    return stdout;
  } finally {
    rmSync(share, { recursive: true, force: true });
  }
}

for (const guest of GUESTS) {
  const skip = cannotRun(guest);
  const where = `Linux ${guest.kernel} on ${guest.arch}`;
  if (skip) {
    test(`the binary works under ${where}: ${skip}`, { skip }, () => {});
    continue;
  }
  let booted: Promise<string> | undefined;
  for (const [user, kind] of [["alice", "with"], ["bob", "without"]] as const) {
    for (
      const check of hasLimitChecks(guest)
        ? [...LIMIT_CHECKS, "a controller is missing", "a parent of its own", "nothing left without controllers"]
        : []
    ) {
      test(`C-064 limits in a delegated group: ${check}, under ${where}, ${kind} subordinate ids`, async () => {
        booted ??= runGuest(guest);
        assert.match(findVerdict(await booted, user, `limits ${check}`), /: ok/);
      });
    }
    for (const check of CHECKS) {
      test(`${check}, under ${where}, ${kind} subordinate ids`, async () => {
        booted ??= runGuest(guest);
        const verdict = findVerdict(await booted, user, check);
        assert.match(verdict, /^[\w -]+: ok/, verdict);
      });
    }
  }
}
