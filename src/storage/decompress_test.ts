import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import zlib from "node:zlib";
import { decompress, type Decompressed } from "./decompress.ts";
import { LayerError, type LayerErrorCode } from "./layer_error.ts";
import { DEFAULT_LAYER_LIMITS } from "./layer_limits.ts";

const TEXT = Buffer.from(Array.from({ length: 60_000 }, (_, i) => `line ${i * i % 977}\n`).join(""));
const SKIPPABLE = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);

function* pieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function run(bytes: Uint8Array, size = 10_000, limits = DEFAULT_LAYER_LIMITS): Promise<[Buffer, Decompressed]> {
  const out: Uint8Array[] = [];
  const result = await decompress(pieces(bytes, size), (piece) => void out.push(piece.slice()), limits);
  return [Buffer.concat(out), result];
}

async function refusal(bytes: Uint8Array, limits = DEFAULT_LAYER_LIMITS): Promise<LayerErrorCode | "read"> {
  try {
    await run(bytes, 10_000, limits);
    return "read";
  } catch (error) {
    assert.ok(error instanceof LayerError, String(error));
    return error.code as LayerErrorCode;
  }
}

test("C-015 C-016 plain, gzip and zstd are told apart by their first bytes, in pieces of any size", async () => {
  const half = TEXT.length / 2 | 0;
  const gzip2 = Buffer.concat([zlib.gzipSync(TEXT.subarray(0, half)), zlib.gzipSync(TEXT.subarray(half))]);
  const zstd2 = Buffer.concat([
    zlib.zstdCompressSync(TEXT.subarray(0, half)),
    zlib.zstdCompressSync(TEXT.subarray(half)),
  ]);
  const checked = zlib.zstdCompressSync(TEXT, { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } });
  const frames = Buffer.concat(
    Array.from({ length: 60 }, (_, i) => zlib.zstdCompressSync(TEXT.subarray(i * 100, i * 100 + 100))),
  );
  const cases: [string, Uint8Array, string, Buffer][] = [
    ["plain", TEXT, "none", TEXT],
    ["gzip", zlib.gzipSync(TEXT), "gzip", TEXT],
    ["two members", gzip2, "gzip", TEXT],
    ["zstd", zlib.zstdCompressSync(TEXT), "zstd", TEXT],
    ["zstd with checksum", checked, "zstd", TEXT],
    ["two frames", zstd2, "zstd", TEXT],
    ["skippable first", Buffer.concat([SKIPPABLE, zstd2]), "zstd", TEXT],
    [
      "skippable between and behind",
      Buffer.concat([zstd2, SKIPPABLE, checked, SKIPPABLE]),
      "zstd",
      Buffer.concat([TEXT, TEXT]),
    ],
    ["many frames", frames, "zstd", TEXT.subarray(0, 6000)],
    ["empty frame", Buffer.concat([zlib.zstdCompressSync(Buffer.alloc(0)), zstd2]), "zstd", TEXT],
    ["five bytes", TEXT.subarray(0, 5), "none", TEXT.subarray(0, 5)],
    ["nothing", Buffer.alloc(0), "none", Buffer.alloc(0)],
  ];
  for (const [name, bytes, compression, wanted] of cases) {
    for (const size of [1 << 20, 1000, ...(bytes.length < 5000 ? [1, 3] : [])]) {
      const [out, result] = await run(bytes, size);
      assert.equal(Buffer.compare(out, wanted), 0, `${name} in pieces of ${size}: ${out.length}`);
      assert.deepEqual(result, { compression, compressedBytes: bytes.length, totalBytes: wanted.length }, name);
    }
  }
});

test("A-010 a stream that is cut, changed or followed by rubbish is refused", async () => {
  const gzip = zlib.gzipSync(TEXT);
  const zstd = zlib.zstdCompressSync(TEXT, { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } });
  const changed = Buffer.from(gzip);
  changed[gzip.length - 6]! ^= 1;
  assert.equal(await refusal(gzip.subarray(0, gzip.length - 4)), "LAYER_CORRUPT");
  assert.equal(await refusal(gzip.subarray(0, 20)), "LAYER_CORRUPT");
  assert.equal(await refusal(changed), "LAYER_CORRUPT");
  assert.equal(await refusal(Buffer.concat([gzip, Buffer.from("rubbish and more of it")])), "LAYER_CORRUPT");
  for (const length of [6, 20, zstd.length - 5, zstd.length - 4, zstd.length - 1]) {
    assert.equal(await refusal(zstd.subarray(0, length)), "LAYER_CORRUPT", String(length));
  }
  assert.equal(await refusal(Buffer.concat([zstd, Buffer.from("rubbish")])), "LAYER_CORRUPT");
  assert.equal(await refusal(Buffer.concat([zstd, SKIPPABLE.subarray(0, 10)])), "LAYER_CORRUPT");
  for (
    const [first, name] of [["BZh91AY&SY", "bzip2"], ["\xfd7zXZ\0\0", "xz"], [
      "\x04\x22\x4d\x18\x64\x40",
      "lz4",
    ]] as const
  ) {
    const error: unknown = await run(Buffer.from(first, "latin1")).catch((error) => error);
    assert.ok(error instanceof LayerError && error.code === "LAYER_UNSUPPORTED" && error.message.includes(name));
  }
});

test("A-097 bombs are refused: by ratio, by size, by window", async () => {
  const zeros = zlib.gzipSync(Buffer.alloc(110_000_000));
  assert.equal(await refusal(zeros), "LAYER_LIMIT");
  assert.equal(await refusal(zeros, { ...DEFAULT_LAYER_LIMITS, maxRatio: 2000 }), "read");
  assert.equal(await refusal(zeros, { ...DEFAULT_LAYER_LIMITS, maxTotalBytes: 1000 }), "LAYER_LIMIT");
  // a frame whose window is 2 GiB: exponent 21, no content size
  assert.equal(await refusal(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 1, 0, 0])), "LAYER_LIMIT");
});

test("what the sink or the source throws ends the decompression, and so does the signal", async () => {
  const gzip = zlib.gzipSync(TEXT);
  const fault = new Error("full");
  const failing = () => {
    throw fault;
  };
  await assert.rejects(decompress(pieces(gzip, 1000), failing, DEFAULT_LAYER_LIMITS), fault);
  await assert.rejects(decompress(pieces(TEXT, 1000), failing, DEFAULT_LAYER_LIMITS), fault);
  function* broken() {
    yield gzip.subarray(0, 100);
    throw fault;
  }
  await assert.rejects(decompress(broken(), () => {}, DEFAULT_LAYER_LIMITS), fault);
  const signal = AbortSignal.abort(fault);
  await assert.rejects(decompress(pieces(gzip, 1000), () => {}, DEFAULT_LAYER_LIMITS, signal), fault);
});
