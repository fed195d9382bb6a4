// Builds the binaries: `node dist/build.mjs [native | arm64 | deno | release] [--key FILE]`.
// Plain JavaScript on Node's own modules, because it runs before anything of ours is built.
import { spawnSync } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "dist/out");
const entry = join(root, "src/cli/main.ts");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/**
 * What a release is compiled with. Bytecode makes the start three times quicker; splitting, which wants ES modules, keeps
 * what a command does not use unread: `--version` starts 2 ms sooner with it. The `autoload` switches keep the binary from
 * reading `.env`, and from running the preload of a `bunfig.toml`, in whatever directory it is started.
 */
const COMPILE = [
  "build",
  "--compile",
  "--bytecode",
  "--format=esm",
  "--splitting",
  "--minify",
  // a command is over before compiled code pays: with the usual thresholds a start takes half as much processor time
  // again (23 ms and 15 ms). Work that lasts asks for them: `favourThroughput` in ffi/
  "--compile-jit-policy=20",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-tsconfig",
  "--no-compile-autoload-package-json",
];

/** The environment of a build step: without what would change the compiler itself. */
function buildEnvironment() {
  const environment = { ...process.env, NO_COLOR: "1" };
  delete environment.BUN_OPTIONS;
  delete environment.BUN_BE_BUN;
  return environment;
}

/** Why a build came to nothing; what it had begun is removed on the way out. */
class BuildError extends Error {}

/** @returns {never} */
function fail(message) {
  throw new BuildError(message);
}

function run(program, args, options = {}) {
  const result = spawnSync(program, args, { cwd: root, env: buildEnvironment(), encoding: "utf8", ...options });
  if (result.error) fail(`start "${program}": ${result.error.message}`);
  if (result.status !== 0) {
    fail(
      `"${basename(program)} ${args[0]}" exited with ${
        result.status ?? result.signal
      }\n${result.stdout}${result.stderr}`,
    );
  }
  return result.stdout;
}

function tool(name) {
  const path = join(root, "node_modules/.bin", name);
  if (!existsSync(path)) fail(`"${name}" is not in node_modules: run "npm ci" first`);
  return path;
}

/**
 * The entry of a binary: a copy of the sources in `made`, from which all that is imported later leads back to the sources
 * themselves. Splitting puts what two ways share into pieces of their own, and each piece takes 0.1 ms to load: the way to a
 * remembered run shares nineteen with others. As a copy it shares nothing, and is one piece.
 * @returns {string}
 */
function layEntry(made) {
  const names = ["package.json", "ffi", "src"];
  for (const name of names) cpSync(join(root, name), join(made, name), { recursive: true });
  // the way itself stays in the copy
  const own = new Set([join(root, "src/cli/known_run.ts")]);
  for (const path of readdirSync(made, { recursive: true }).filter((path) => path.endsWith(".ts"))) {
    const text = readFileSync(join(made, path), "utf8");
    const laid = text.replace(/\bimport\("(\.[^"]*|#[^"]*)"\)/g, (whole, name) => {
      const source = resolveImport(join(root, path), name);
      return own.has(source) ? whole : `import(${JSON.stringify(source)})`;
    });
    if (laid !== text) writeFileSync(join(made, path), laid);
  }
  return join(made, "src/cli/main.ts");
}

/** The file that an import of another one means: beside it, or by an alias of package.json, whose stars all stand at the end. */
function resolveImport(from, name) {
  if (name.startsWith(".")) return join(dirname(from), name);
  const [alias, target] = Object.entries(manifest.imports).find(([key]) => name.startsWith(key.replace("*", "")));
  return join(root, target.replace("*", name.slice(alias.length - 1)));
}

/** Compiles the sources to `target`, beside it first, so that a running binary is replaced and never written to. */
function compile(target, extra) {
  if (!existsSync(entry)) fail(`"${entry}" is missing`);
  mkdirSync(out, { recursive: true });
  const made = mkdtempSync(join(out, "build-"));
  try {
    // in `made`, because the compiler leaves its temporary files where it is started
    run(tool("bun"), [...COMPILE, ...extra, layEntry(made), "--outfile", join(made, "dugout")], { cwd: made });
    chmodSync(join(made, "dugout"), 0o755);
    renameSync(join(made, "dugout"), target);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  console.log(`built ${target}`);
}

/**
 * A compiler that generates no bytecode says nothing, and the start is then three times slower. The engine tells, when
 * asked, whether the code came from the cache.
 */
function checkBytecode(path) {
  const environment = { PATH: process.env.PATH, HOME: "/nonexistent", BUN_JSC_verboseDiskCache: "1" };
  const { stdout, stderr, error } = spawnSync(path, ["--version"], { env: environment, encoding: "utf8" });
  if (error) fail(`start "${path}": ${error.message}`);
  if (!`${stdout}${stderr}`.includes("Cache hit")) fail(`"${path}" does not use its bytecode:\n${stdout}${stderr}`);
}

function buildNative() {
  const target = join(root, "dist/dugout");
  compile(target, []);
  checkBytecode(target);
}

/** The bytes of Bun for another processor: the package that package-lock.json pins, checked against its digest. */
function fetchBun(packageName) {
  const locked =
    JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages[`node_modules/${packageName}`];
  if (!locked) fail(`package-lock.json does not pin "${packageName}"`);
  const [algorithm, expected] = locked.integrity.split(/-(.*)/s);
  const folder = join(out, `${basename(packageName)}-${locked.version}`);
  const bun = join(folder, "package/bin/bun");
  if (existsSync(bun)) return bun;
  mkdirSync(out, { recursive: true });
  const made = mkdtempSync(join(out, "fetch-"));
  try {
    const [{ filename }] = JSON.parse(
      run("npm", ["pack", "--json", "--pack-destination", made, `${packageName}@${locked.version}`]),
    );
    const archive = join(made, basename(filename));
    const actual = createHash(algorithm).update(readFileSync(archive)).digest("base64");
    if (actual !== expected) {
      fail(`"${packageName}" is ${algorithm}-${actual}, but package-lock.json says ${locked.integrity}`);
    }
    run("tar", ["-xzf", archive, "-C", made]);
    rmSync(archive);
    rmSync(folder, { recursive: true, force: true });
    renameSync(made, folder);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return bun;
}

function buildArm64() {
  const bun = fetchBun("@oven/bun-linux-aarch64");
  compile(join(root, "dist/dugout-arm64"), ["--target=bun-linux-arm64", `--compile-executable-path=${bun}`]);
}

/**
 * `deno compile` needs `denort`, which no npm package has: it comes from Deno's own host, or from $DENORT_BIN. It takes in
 * all of node_modules, compilers as well; so it is started in a copy without the development packages.
 */
function buildDeno() {
  const target = join(root, "dist/dugout-deno");
  const locked = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const needed = Object.keys(locked).filter((path) => path.startsWith("node_modules/") && !locked[path].dev);
  mkdirSync(out, { recursive: true });
  const made = mkdtempSync(join(out, "deno-"));
  try {
    for (const path of ["package.json", "deno.json", "ffi", "src", ...needed]) {
      if (existsSync(join(root, path))) cpSync(join(root, path), join(made, path), { recursive: true });
    }
    const flags = ["-A", "--no-check", "--no-lock", "-o", join(made, "dugout")];
    try {
      run(tool("deno"), ["compile", ...flags, join(made, "src/cli/main.ts")], { cwd: made });
    } catch (error) {
      if (!/denort/.test(error.message) || process.env.DENORT_BIN) throw error;
      fail(`${error.message}\ndenort could not be fetched: set DENORT_BIN to that of this version of Deno`);
    }
    renameSync(join(made, "dugout"), target);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  console.log(`built ${target}`);
}

/**
 * Lays a release into dist/out/release: the binaries, SHA256SUMS whose first line says version and date (so that an old
 * release cannot pass for a new one), its Ed25519 signature, and the installer with the public key in it.
 */
function buildRelease(keyFile) {
  if (!keyFile) fail(`a release is signed: give "--key FILE", an Ed25519 private key in PEM`);
  const key = createPrivateKey(readFileSync(keyFile));
  if (key.asymmetricKeyType !== "ed25519") {
    fail(`"${keyFile}" holds a key of type "${key.asymmetricKeyType}", not ed25519`);
  }
  buildNative();
  buildArm64();
  const release = join(out, "release");
  rmSync(release, { recursive: true, force: true });
  mkdirSync(release);
  const native = process.arch === "arm64" ? "aarch64" : "x86_64";
  const binaries = new Map([[`dugout-${native}`, "dugout"], ["dugout-aarch64", "dugout-arm64"]]);
  const lines = [`# dugout ${manifest.version} ${new Date().toISOString().slice(0, 10)}`];
  for (const [name, source] of binaries) {
    copyFileSync(join(root, "dist", source), join(release, name));
    lines.push(`${createHash("sha256").update(readFileSync(join(release, name))).digest("hex")}  ${name}`);
  }
  writeRelease(release, lines, key);
  console.log(`laid ${release}`);
}

/** Signs the lines of SHA256SUMS and writes them, the signature and the installer into `folder`. */
export function writeRelease(folder, lines, key) {
  const sums = Buffer.from(`${lines.join("\n")}\n`);
  writeFileSync(join(folder, "SHA256SUMS"), sums);
  writeFileSync(join(folder, "SHA256SUMS.sig"), sign(null, sums, key));
  const publicKey = createPublicKey(key).export({ type: "spki", format: "pem" }).toString();
  const installer = readFileSync(join(root, "dist/install.sh"), "utf8");
  const body = publicKey.split("\n").filter((line) => line !== "" && !line.startsWith("-----")).join("");
  writeFileSync(join(folder, "install.sh"), installer.replace("@PUBLIC_KEY@", () => body), { mode: 0o755 });
}

const TARGETS = { native: buildNative, arm64: buildArm64, deno: buildDeno };

function main([name = "native", option, value]) {
  if (name === "release" && (option === undefined || option === "--key")) return buildRelease(value);
  if (!Object.hasOwn(TARGETS, name) || option !== undefined) {
    fail(`usage: node dist/build.mjs [${Object.keys(TARGETS).join(" | ")} | release --key FILE]`);
  }
  TARGETS[name]();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`build: ${error.message}`);
    process.exitCode = 1;
  }
}
