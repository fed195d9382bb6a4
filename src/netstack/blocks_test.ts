import assert from "node:assert/strict";
import test from "node:test";
import { giveBlock, makeBlocks, MAX_BLOCK_BYTES, MIN_BLOCK_BYTES, takeBlock, trimBlocks } from "./blocks.ts";
import { makeRandom } from "./wire/testing.ts";

test("blocks never overlap, and all of the memory comes back as whole megabytes", () => {
  const random = makeRandom(11);
  const blocks = makeBlocks(4096, 8 << 20);
  const taken: { offset: number; size: number }[] = [];
  const owner = new Int32Array((8 << 20) / MIN_BLOCK_BYTES).fill(-1);
  const mark = ({ offset, size }: { offset: number; size: number }, from: number, to: number) => {
    for (let at = offset; at < offset + size; at += MIN_BLOCK_BYTES) {
      const unit = (at - 4096) / MIN_BLOCK_BYTES;
      assert.equal(owner[unit], from);
      owner[unit] = to;
    }
  };
  for (let round = 0; round < 40_000; round++) {
    if (random() % 5 < 3) {
      const size = MIN_BLOCK_BYTES << random() % 9;
      const offset = takeBlock(blocks, size);
      if (offset === -1) continue;
      mark({ offset, size }, -1, 1);
      taken.push({ offset, size });
    } else if (taken.length > 0) {
      const [one] = taken.splice(random() % taken.length, 1);
      mark(one!, 1, -1);
      giveBlock(blocks, one!.offset, one!.size);
    }
    assert.equal(blocks.freeBytes, (8 << 20) - taken.reduce((sum, { size }) => sum + size, 0));
  }
  for (const { offset, size } of taken) giveBlock(blocks, offset, size);
  for (let i = 0; i < 8; i++) assert.notEqual(takeBlock(blocks, MAX_BLOCK_BYTES), -1);
  assert.equal(takeBlock(blocks, MIN_BLOCK_BYTES), -1);
  assert.equal(takeBlock(blocks, 2 * MAX_BLOCK_BYTES), -1);
});

test("a block that was not taken is not taken back", () => {
  const blocks = makeBlocks(0, 1 << 20);
  const offset = takeBlock(blocks, MIN_BLOCK_BYTES);
  giveBlock(blocks, offset, MIN_BLOCK_BYTES);
  assert.throws(() => giveBlock(blocks, offset, MAX_BLOCK_BYTES), /was not taken/);
  assert.throws(() => giveBlock(blocks, offset + 1, MIN_BLOCK_BYTES), /was not taken/);
});

test("pages of free megabytes that were used are given back once, but for those that are kept", () => {
  const blocks = makeBlocks(0, 4 << 20);
  const some = [0, 1, 2].map(() => takeBlock(blocks, MAX_BLOCK_BYTES));
  for (const offset of some) giveBlock(blocks, offset, MAX_BLOCK_BYTES);
  const released: number[] = [];
  trimBlocks(blocks, MAX_BLOCK_BYTES, (offset) => released.push(offset));
  assert.equal(released.length, 2);
  trimBlocks(blocks, MAX_BLOCK_BYTES, (offset) => released.push(offset));
  assert.equal(released.length, 2);
});
