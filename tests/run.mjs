// Runs all checks and tests, two jobs at a time, and sums them up: `node run.mjs [checks | unit | integration | guests | FILE …]`.
// Called by run.sh, which prepares what it reads from the environment. The last line is `N passed, N failed, N skipped`.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

/** A copy of the sources that every user can read, and a place to write results to. */
const sources = process.env.DUGOUT_TEST_SOURCES;
const results = process.env.DUGOUT_TEST_RESULTS;
if (!sources || !results) throw new Error("run.mjs is started by run.sh");

const MINUTE_MS = 60_000;
const JOBS_AT_ONCE = 2;
const MAX_LINES_OF_A_FAILURE = 40;
const asRoot = process.getuid() === 0;
const bin = join(sources, "node_modules/.bin");

/**
 * A job: `report` names the JUnit file that it writes; without one, it is one test that its exit code decides.
 * @typedef {{ name: string, argv: string[], user?: string, report?: string, timeoutMs: number }} Job
 */

/** All files below `folder` whose names end in `_test.ts`, in order. */
function findTests(folder) {
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== "node_modules") found.push(...findTests(path));
    else if (entry.isFile() && entry.name.endsWith("_test.ts")) found.push(path);
  }
  return found.sort();
}

function groupOf(file) {
  const [first, second] = relative(sources, file).split(sep);
  if (first !== "tests") return "unit";
  return second === "guests" ? "guests" : "integration";
}

function bunJob(name, files, user, timeoutMs, testTimeoutMs) {
  const report = join(results, `${name.replaceAll(/[^\w]+/g, "-")}.xml`);
  const argv = [
    join(bin, "bun"),
    "test",
    "--timeout",
    String(testTimeoutMs),
    "--reporter=junit",
    `--reporter-outfile=${report}`,
  ];
  return { name, argv: [...argv, ...files], user, report, timeoutMs };
}

function denoJob(name, files, user, timeoutMs) {
  const report = join(results, `${name.replaceAll(/[^\w]+/g, "-")}.xml`);
  const argv = [join(bin, "deno"), "test", "-A", "--no-check", "--no-lock", `--junit-path=${report}`];
  return { name, argv: [...argv, ...files], user, report, timeoutMs };
}

/** @returns {Job[]} The longest first, so that no core idles at the end. */
function planJobs(wanted) {
  const files = findTests(sources);
  const groups = new Set(["checks", "unit", "integration", "guests"]);
  const chosen = (file) =>
    wanted.length === 0 || wanted.includes(groupOf(file)) || wanted.includes(relative(sources, file));
  for (const word of wanted) {
    if (!groups.has(word) && !files.some((file) => relative(sources, file) === word)) {
      throw new Error(`No group or file "${word}"`);
    }
  }
  const jobs = [];
  for (const file of files.filter((file) => chosen(file) && groupOf(file) === "guests")) {
    jobs.push(bunJob(relative(sources, file), [file], undefined, 25 * MINUTE_MS, 20 * MINUTE_MS));
  }
  for (const file of files.filter((file) => chosen(file) && groupOf(file) === "integration")) {
    jobs.push(bunJob(relative(sources, file), [file], undefined, 15 * MINUTE_MS, 5 * MINUTE_MS));
  }
  const unit = files.filter((file) => chosen(file) && groupOf(file) === "unit");
  if (unit.length > 0) {
    // one runtime as each kind of user
    jobs.push(denoJob("unit tests under deno", unit, asRoot ? "dug-one" : undefined, 10 * MINUTE_MS));
    jobs.push(bunJob("unit tests under bun", unit, asRoot ? "dug-sub" : undefined, 10 * MINUTE_MS, MINUTE_MS));
  }
  if (wanted.length === 0 || wanted.includes("checks")) {
    jobs.push({ name: "format", argv: [join(bin, "deno"), "fmt", "--check"], timeoutMs: 5 * MINUTE_MS });
    jobs.push({ name: "lint", argv: [join(bin, "deno"), "lint"], timeoutMs: 5 * MINUTE_MS });
    jobs.push({ name: "types", argv: [join(bin, "tsc"), "--noEmit"], timeoutMs: 5 * MINUTE_MS });
  }
  return jobs;
}

/** The words and the environment to run a job as its user, as after a login. */
function enter({ argv, user }) {
  if (user === undefined) return { argv, env: { ...process.env, NO_COLOR: "1" } };
  const [, , uid, gid, , home] = readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":")).find((
    [name],
  ) => name === user);
  const env = {
    HOME: home,
    USER: user,
    LOGNAME: user,
    SHELL: "/bin/sh",
    PATH: `${bin}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin`,
    LANG: "C.UTF-8",
    NO_COLOR: "1",
    XDG_RUNTIME_DIR: `/run/user/${uid}`,
    TMPDIR: results,
  };
  return { argv: ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--init-groups", "--", ...argv], env };
}

const running = new Set();

/** Runs a job to its end: its exit code (undefined when it was stopped), and the file with what it printed. */
function play(job) {
  const log = join(results, `${job.name.replaceAll(/[^\w]+/g, "-")}.log`);
  const { argv, env } = enter(job);
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(argv[0], argv.slice(1), {
      cwd: sources,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    running.add(child);
    const file = createWriteStream(log);
    child.stdout.pipe(file, { end: false });
    child.stderr.pipe(file, { end: false });
    let stopped = false;
    const timer = setTimeout(() => {
      stopped = true;
      endGroup(child);
    }, job.timeoutMs);
    const finish = (code) => {
      clearTimeout(timer);
      running.delete(child);
      file.end(() => resolve({ code: stopped ? undefined : code, log, ms: performance.now() - started }));
    };
    child.on("error", (error) => {
      file.write(`${error.message}\n`);
      finish(-1);
    });
    child.on("close", (code, signal) => finish(signal ?? code));
  });
}

function endGroup(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // it has just ended
  }
}

function unescapeXml(text) {
  const entities = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
  return text.replaceAll(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (all, decimal, hex, name) => {
    if (decimal) return String.fromCodePoint(Number(decimal));
    if (hex) return String.fromCodePoint(parseInt(hex, 16));
    return entities[name] ?? all;
  });
}

/** The test cases of a JUnit report, as Bun and Deno write it; undefined where there is none. */
function readReport(path) {
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const cases = [];
  for (const [, attributes, body = ""] of text.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const name = unescapeXml(/(?:^| )name="([^"]*)"/.exec(attributes)?.[1] ?? "?");
    const failure = /<(?:failure|error)[^>]*>([\s\S]*?)<\/(?:failure|error)>/.exec(body) ??
      /<(?:failure|error)[^>]*message="([^"]*)"/.exec(body);
    const skipped = /<skipped/.test(body);
    cases.push({
      name,
      outcome: failure ? "failed" : skipped ? "skipped" : "passed",
      text: unescapeXml(failure?.[1] ?? ""),
    });
  }
  return cases;
}

function lastLines(path, count) {
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-count);
}

/** The cases of one job. A job that ends badly without saying in which test counts as one failed test. */
function judge(job, { code, log }) {
  const ending = code === undefined ? `did not end in ${job.timeoutMs / 1000} s and was stopped` : `ended with ${code}`;
  const whole = (outcome) => ({
    name: job.name,
    outcome,
    text: `${ending}\n${lastLines(log, MAX_LINES_OF_A_FAILURE).join("\n")}`,
  });
  if (job.report === undefined) return [whole(code === 0 ? "passed" : "failed")];
  const cases = readReport(job.report) ?? [];
  const failed = cases.some(({ outcome }) => outcome === "failed");
  if ((code !== 0 && !failed) || cases.length === 0) cases.push(whole("failed"));
  return cases;
}

async function main(wanted) {
  mkdirSync(results, { recursive: true });
  const jobs = planJobs(wanted);
  const total = { passed: 0, failed: 0, skipped: 0 };
  const failures = [];
  const skips = [];
  let next = 0;
  async function work() {
    while (next < jobs.length) {
      const job = jobs[next++];
      const played = await play(job);
      const cases = judge(job, played);
      const count = (wantedOutcome) => cases.filter(({ outcome }) => outcome === wantedOutcome).length;
      for (const outcome of Object.keys(total)) total[outcome] += count(outcome);
      for (const one of cases) {
        if (one.outcome === "failed") failures.push({ job, ...one });
        if (one.outcome === "skipped") skips.push(one.name);
      }
      const sums = Object.keys(total).filter((outcome) => count(outcome) > 0).map((outcome) =>
        `${count(outcome)} ${outcome}`
      ).join(", ");
      console.log(`${count("failed") > 0 ? "FAIL" : "ok  "} ${job.name}: ${sums} (${(played.ms / 1000).toFixed(1)} s)`);
      for (const { name, outcome } of cases) if (outcome === "failed") console.log(`       ${name}`);
    }
  }
  await Promise.all(Array.from({ length: JOBS_AT_ONCE }, work));
  if (skips.length > 0) console.log(`\nSkipped:\n${[...new Set(skips)].map((name) => `  ${name}`).join("\n")}`);
  for (const { job, name, text } of failures) {
    const lines = text.trimEnd().split("\n").slice(0, MAX_LINES_OF_A_FAILURE);
    console.log(
      `\nFAILED ${name === job.name ? name : `${job.name}: ${name}`}\n${lines.map((line) => `  ${line}`).join("\n")}`,
    );
  }
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    for (const child of running) endGroup(child);
    process.exit(1);
  });
}
console.log(`running as ${process.env.USER ?? process.getuid()}, results in ${results}`);
process.exitCode = await main(process.argv.slice(2));
