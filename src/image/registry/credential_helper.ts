import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { DugoutError } from "#oci/error.ts";
import { parseJson } from "#oci/json.ts";
import { parseSchema } from "#oci/schema.ts";
import { escapeText, quote } from "#oci/text.ts";
import type { Credentials } from "./credentials.ts";
import type { Environment } from "./proxy.ts";

const OUTPUT_BYTES_MAX = 1024 * 1024;
const TIMEOUT_MS = 60_000;
/** What helpers print when they know of no such registry (docker-credential-helpers' protocol; it has no other sign for it). */
const NOT_FOUND = "credentials not found in native keychain";

/** How a helper is run; parameters for tests. */
export interface HelperOptions {
  env: Environment;
  timeoutMs?: number;
}

/** Variables that keyrings, password stores and cloud tools need. Nothing that steers our own runtime goes on (A-104). */
const PASSED_NAMES: ReadonlySet<string> = new Set([
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LANGUAGE",
  "TZ",
  "TMPDIR",
  "TERM",
  "DISPLAY",
  "WAYLAND_DISPLAY",
  "XAUTHORITY",
  "DBUS_SESSION_BUS_ADDRESS",
  "SSH_AUTH_SOCK",
  "GPG_TTY",
  "GPG_AGENT_INFO",
  "GNUPGHOME",
  "KRB5CCNAME",
  "DOCKER_CONFIG",
  "REGISTRY_AUTH_FILE",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
]);
const PASSED_PREFIXES: readonly string[] = [
  "LC_",
  "XDG_",
  "PASSWORD_STORE_",
  "AWS_",
  "AZURE_",
  "CLOUDSDK_",
  "GOOGLE_",
  "ECR_",
  "ACR_",
  "VAULT_",
  "GITLAB_",
  "GITHUB_",
];

/** The environment of a helper. */
export function planHelperEnv(env: Environment): Record<string, string> {
  const passed: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (PASSED_NAMES.has(name) || PASSED_PREFIXES.some((prefix) => name.startsWith(prefix)))) {
      passed[name] = value;
    }
  }
  return passed;
}

/** Finds a program in the absolute directories of PATH; the current directory is none of them, whatever PATH says. */
function findProgram(name: string, env: Environment): string | undefined {
  for (const directory of (env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(":")) {
    if (!directory.startsWith("/")) continue;
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // not there
    }
  }
  return undefined;
}

function failed(program: string, action: string, why: string, hint?: string): DugoutError {
  return new DugoutError("CREDENTIAL_HELPER_FAILED", `Cannot ${action} credentials with ${quote(program)}: ${why}`, {
    hint: hint ?? 'No credentials were sent; the helper is named by "credHelpers" or "credsStore" in the configuration',
  });
}

interface HelperResult {
  status: number | null;
  output: string;
}

async function runHelper(
  program: string,
  path: string,
  action: string,
  input: string,
  options: HelperOptions,
): Promise<HelperResult> {
  const { spawn } = await import("node:child_process");
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  return await new Promise((resolve, reject) => {
    const child = spawn(path, [action], { env: planHelperEnv(options.env), stdio: ["pipe", "pipe", "pipe"] });
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    let problem: string | undefined;
    const giveUp = (why: string) => {
      problem ??= why;
      child.kill("SIGKILL");
      // a child of the helper may keep the pipes open, and `close` would not come
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(() => giveUp(`it did not answer in ${Math.round(timeoutMs / 1000)} s`), timeoutMs);
    const collect = (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes > OUTPUT_BYTES_MAX) giveUp(`it printed more than ${OUTPUT_BYTES_MAX} bytes`);
      else chunks.push(chunk);
    };
    child.stdout.on("data", collect);
    // what it says when it fails comes on either, and is shown
    const complaints: Uint8Array[] = [];
    child.stderr.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes > OUTPUT_BYTES_MAX) giveUp(`it printed more than ${OUTPUT_BYTES_MAX} bytes`);
      else complaints.push(chunk);
    });
    child.on("error", (error: Error) => {
      clearTimeout(timer);
      reject(failed(program, action, error.message));
    });
    child.on("close", (status) => {
      clearTimeout(timer);
      if (problem !== undefined) return reject(failed(program, action, problem));
      const output = Buffer.concat(chunks).toString("utf8");
      resolve({ status, output: status === 0 ? output : output + Buffer.concat(complaints).toString("utf8") });
    });
    // a helper that does not read its input is no error
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/**
 * Runs `docker-credential-NAME ACTION`, input on stdin (docker-credential-helpers' protocol). The name comes from the user's configuration and
 * must be a plain one; the registry comes from an image's name and must be without control characters (A-019).
 * @returns What it printed; undefined when it knows no such credentials.
 * @throws {DugoutError} CREDENTIAL_HELPER_FAILED, CREDENTIAL_HELPER_MISSING.
 */
async function callHelper(
  helper: string,
  action: "get" | "store" | "erase" | "list",
  input: string,
  options: HelperOptions,
): Promise<string | undefined> {
  const program = `docker-credential-${helper}`;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(helper)) {
    throw failed(program, action, "its name has characters other than letters, digits, '.', '_' and '-'");
  }
  const path = findProgram(program, options.env);
  if (path === undefined) {
    throw new DugoutError(
      "CREDENTIAL_HELPER_MISSING",
      `Cannot ${action} credentials: the program ${quote(program)} is not in any directory of PATH`,
      {
        hint: 'Install it, or remove it from "credHelpers" or "credsStore" in the configuration',
      },
    );
  }
  const { status, output } = await runHelper(program, path, action, input, options);
  if (status === 0) return output;
  if (output.includes(NOT_FOUND)) return undefined;
  throw failed(
    program,
    action,
    `it ended with ${status === null ? "a signal" : `status ${status}`}: ${escapeText(output.trim(), 500)}`,
  );
}

function checkServer(server: string): void {
  if (server === "" || server.length > 300 || !/^[!-~]+$/.test(server)) {
    throw new DugoutError(
      "REFERENCE_INVALID",
      `Cannot ask for the credentials of ${quote(server)}: not the name of a registry`,
    );
  }
}

const answerSchema = v.object({ Username: v.string(), Secret: v.string() });

/** Asks a helper for the credentials of a registry. The user name `<token>` marks an identity token. */
export async function getFromHelper(
  helper: string,
  server: string,
  options: HelperOptions,
): Promise<Credentials | undefined> {
  checkServer(server);
  const output = await callHelper(helper, "get", server, options);
  if (output === undefined) return undefined;
  const what = `the answer of ${quote(`docker-credential-${helper}`)}`;
  const { Username: username, Secret: secret } = parseSchema(
    answerSchema,
    parseJson(output, what, { maxBytes: OUTPUT_BYTES_MAX }),
    what,
    "CREDENTIAL_HELPER_FAILED",
  );
  if (username === "<token>") return { kind: "identity", username: "", identityToken: secret };
  return username === "" && secret === "" ? undefined : { kind: "password", username, password: secret };
}

/** Gives credentials to a helper to keep. */
export async function storeWithHelper(
  helper: string,
  server: string,
  credentials: Credentials,
  options: HelperOptions,
): Promise<void> {
  checkServer(server);
  const [username, secret] = credentials.kind === "password"
    ? [credentials.username, credentials.password]
    : ["<token>", credentials.kind === "identity" ? credentials.identityToken : credentials.token];
  await callHelper(helper, "store", JSON.stringify({ ServerURL: server, Username: username, Secret: secret }), options);
}

/** Makes a helper forget a registry; whether it knew it. */
export async function eraseWithHelper(helper: string, server: string, options: HelperOptions): Promise<boolean> {
  checkServer(server);
  return await callHelper(helper, "erase", server, options) !== undefined;
}
