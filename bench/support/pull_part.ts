/** One part of a pull alone: `pull_part.ts download URL… | sha256 FILE… | gunzip FILE… | write RAW WRITTEN FILE…`. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync } from "node:fs";
import { get } from "node:http";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { spawn } from "node:child_process";
import { createGunzip } from "node:zlib";

const CHUNK_BYTES = 1 << 18;

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}

function download(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, (answer) => void pipeline(answer, nowhere()).then(resolve, reject)).on("error", reject);
  });
}

async function sha256(file: string): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) hash.update(chunk);
}

function gunzip(file: string, out: Writable = nowhere()): Promise<void> {
  return pipeline(
    createReadStream(file, { highWaterMark: CHUNK_BYTES }),
    createGunzip({ chunkSize: CHUNK_BYTES }),
    out,
  );
}

/** Unpacks a tar that was inflated before, by GNU tar, to the disk. */
async function write(raw: string, written: string, file: string): Promise<void> {
  const tar = join(raw, basename(file));
  if (!existsSync(tar)) {
    await gunzip(file, createWriteStream(`${tar}.part`));
    renameSync(`${tar}.part`, tar);
  }
  const folder = join(written, basename(file));
  mkdirSync(folder, { recursive: true });
  await run("tar", "-C", folder, "-xf", tar);
  await run("sync", "-f", folder);
}

function run(program: string, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit" });
    child.on("error", reject);
    child.on("exit", (code) => code === 0 ? resolve() : reject(new Error(`${program} exited with ${code}`)));
  });
}

/** As many at once as there are cores. */
async function forEach(items: readonly string[], work: (item: string) => Promise<void>): Promise<void> {
  const left = items.values();
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (const item of left) await work(item);
  }));
}

const [part, ...args] = process.argv.slice(2);
const [raw = "", written = ""] = args;
switch (part) {
  case "download":
    await forEach(args, download);
    break;
  case "sha256":
    await forEach(args, sha256);
    break;
  case "gunzip":
    await forEach(args, (file) => gunzip(file));
    break;
  case "write":
    await forEach(args.slice(2), (file) => write(raw, written, file));
    break;
  default:
    throw new Error(`Unknown part "${part}"`);
}
