import { hostEndpoint } from "#image/registry/access.ts";
import { DOCKER_HUB_KEY } from "#image/registry/auth_file.ts";
import { checkLogin, parseServer, removeCredentials, storeCredentials, storedUsername } from "#image/registry/login.ts";
import type { Fd } from "#linux/call.ts";
import { isTerminal } from "#linux/terminal.ts";
import { escapeText } from "#oci/text.ts";
import { readLine, readSecret } from "../ask.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, switchOption, textOption } from "../options.ts";
import { printError, printOut } from "../output.ts";
import { openRegistries } from "../registry.ts";
import { usageError } from "../usage_error.ts";

/** A password is one line; registries' tokens are a few kilobytes at most. */
const MAX_SECRET = 64 * 1024;

/** `dugout login` */
export async function runLogin({ options, args, global }: Invocation): Promise<number> {
  const host = parseServer(args[0]);
  using access = await openRegistries(global, switchOption(options, "tls-verify"));
  const given = checkFlags(
    textOption(options, "username"),
    textOption(options, "password"),
    hasSwitch(options, "password-stdin"),
  );
  const username = given.username ?? askUsername(await storedUsername(access.places, host));
  const password = given.password ?? (given.fromStdin ? readPasswordFromStdin() : await askPassword());
  const result = await checkLogin(access.client, hostEndpoint(access, host), { kind: "password", username, password });
  const file = await storeCredentials(access.places, host, result.credentials);
  if (file !== undefined) {
    printError(
      `\nWARNING! Your credentials are stored unencrypted in '${escapeText(file)}'.\n` +
        "A credential helper, named in that file as credsStore, would encrypt them.\n\n",
    );
  }
  printOut("Login Succeeded\n");
  return 0;
}

interface GivenLogin {
  username: string | undefined;
  password: string | undefined;
  fromStdin: boolean;
}

/** Docker's rules and words for the flags. */
function checkFlags(username: string | undefined, password: string | undefined, fromStdin: boolean): GivenLogin {
  const hint = "echo TOKEN | dugout login -u NAME --password-stdin SERVER";
  if (password !== undefined && fromStdin) {
    throw usageError("--password and --password-stdin are mutually exclusive", 1, hint);
  }
  if (fromStdin && username === undefined) throw usageError("Must provide --username with --password-stdin", 1, hint);
  if (password !== undefined) {
    printError("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
  }
  const asks = username === undefined || (password === undefined && !fromStdin);
  if (asks && !isTerminal(0 as Fd)) {
    throw usageError("Cannot perform an interactive login from a non TTY device", 1, hint);
  }
  return { username, password, fromStdin };
}

function askUsername(known: string | undefined): string {
  printOut(known === undefined ? "Username: " : `Username (${escapeText(known)}): `);
  const typed = (readLine() ?? "").trim();
  const username = typed === "" ? known ?? "" : typed;
  if (username === "") throw usageError("Username is required", 1, "give it with -u");
  return username;
}

async function askPassword(): Promise<string> {
  const password = await readSecret("Password: ") ?? "";
  if (password === "") throw usageError("Password is required", 1, "give it with --password-stdin");
  return password;
}

/** All of standard input, without the line's end. */
function readPasswordFromStdin(): string {
  const password = (readLine(MAX_SECRET) ?? "").replace(/\r$/, "");
  if (password === "") throw usageError("password is empty", 1, "write it to standard input");
  return password;
}

/** `dugout logout` */
export async function runLogout({ args, global }: Invocation): Promise<number> {
  const host = parseServer(args[0]);
  using access = await openRegistries(global, undefined);
  const shown = host === "docker.io" ? DOCKER_HUB_KEY : host;
  const isFound = await removeCredentials(access.places, host);
  printOut(isFound ? `Removing login credentials for ${shown}\n` : `Not logged in to ${shown}\n`);
  return 0;
}
