import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

/** A registry of Debian's of one test, empty at the beginning. */
export interface PrivateRegistry {
  /** `127.0.0.1:PORT` */
  host: string;
  /** Ends it, as a crash would. */
  kill: () => Promise<void>;
  /** Starts it again, on the same port, with what it had. */
  start: () => Promise<void>;
  /** Waits until so many bytes have come, in whatever state. */
  waitForBytes: (bytes: number) => Promise<void>;
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("A port has no number");
  return address.port;
}

async function waitForAnswer(url: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    const isUp = await fetch(url).then(async (answer) => (await answer.body?.cancel(), answer.ok), () => false);
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`A registry does not answer at ${url}`);
}

async function waitForBytes(folder: string, bytes: number): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : [];
    const sizes = files.map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0);
    if (sizes.reduce((sum, size) => sum + size, 0) >= bytes) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${bytes} bytes did not come`);
}

/** Gives `use` a registry of its own. */
export async function withPrivateRegistry(use: (registry: PrivateRegistry) => Promise<void>): Promise<void> {
  const folder = mkdtempSync("/tmp/dt-registry-");
  const host = `127.0.0.1:${await findFreePort()}`;
  const config = join(folder, "config.yml");
  const lines = [
    "version: 0.1",
    "log: { level: error, accesslog: { disabled: true } }",
    `storage: { filesystem: { rootdirectory: ${folder}/data } }`,
    `http: { addr: "${host}" }`,
  ];
  writeFileSync(config, lines.join("\n") + "\n");
  let child: ChildProcess | undefined;
  const kill = async () => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once("exit", resolve));
    running.kill("SIGKILL");
    await ended;
  };
  const start = async () => {
    child = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
    await waitForAnswer(`http://${host}/v2/`, child);
  };
  try {
    await start();
    await use({ host, kill, start, waitForBytes: (bytes) => waitForBytes(join(folder, "data"), bytes) });
  } finally {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
