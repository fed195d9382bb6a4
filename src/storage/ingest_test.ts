import assert from "node:assert/strict";
import { readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { hashBytes } from "#oci/digest.ts";
import { type ContentStoreHost, hasBlob, readBlob } from "./content.ts";
import { type Ingest, openIngest, StagedBlob } from "./ingest.ts";
import { holdDigest, openLease, readLeases, withStoreLock } from "./lease.ts";
import { formatMark, ownMark } from "./owner_mark.ts";
import { listIngest, makeBytes, makeTestStore } from "./test_store.ts";

const BYTES = makeBytes(2_500_000);
const WANT = { digest: hashBytes(BYTES), size: BYTES.length };
/** What a file system can be: with locks, with locks that reach one machine, without. */
const HOSTS: ContentStoreHost[] = [{}, { isShared: true }, { tryLock: () => "unsupported" }, {
  isShared: true,
  tryLock: () => "unsupported",
}];

function deadMark(): string {
  return formatMark({ ...ownMark(), startTicks: "1" });
}

test("a download is there under its digest only when it is whole", async () => {
  for (const host of HOSTS) {
    using t = makeTestStore(host);
    using lease = openLease(t.store);
    using ingest = await openIngest(lease, WANT);
    ingest!.write(BYTES.subarray(0, 1_000_000));
    assert.ok(!hasBlob(t.store, WANT.digest));
    await assert.rejects(ingest!.commit(), { code: "BLOB_TRUNCATED" });
    ingest!.write(BYTES.subarray(1_000_000));
    await ingest!.commit();
    assert.ok(hasBlob(t.store, WANT.digest, WANT.size));
    assert.equal(await openIngest(lease, WANT), undefined);
    lease[Symbol.dispose]();
    assert.deepEqual(listIngest(t.store), []);
  }
});

test("C-035 what came before a cut stays, and the next one begins behind it", async () => {
  using t = makeTestStore();
  {
    using lease = openLease(t.store);
    using ingest = await openIngest(lease, WANT);
    ingest!.write(BYTES.subarray(0, 1_700_000));
  }
  using lease = openLease(t.store);
  let replayed = 0;
  using ingest = await openIngest(lease, WANT, {
    onReplay: (piece) => {
      assert.deepEqual(Buffer.from(piece), Buffer.from(BYTES.subarray(replayed, replayed + piece.length)));
      replayed += piece.length;
    },
  });
  assert.equal(ingest!.offset, 1_700_000);
  assert.equal(ingest!.resumedBytes, 1_700_000);
  assert.equal(replayed, 1_700_000);
  ingest!.write(BYTES.subarray(1_700_000));
  await ingest!.commit();
  assert.deepEqual(Buffer.from(readBlob(t.store, WANT.digest, { maxBytes: 1e7 })), Buffer.from(BYTES));
});

test("a download that was killed between its last byte and the rename is finished without a request", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  writeFileSync(join(t.store.path, "ingest", `${WANT.digest.slice(7)}.part`), BYTES);
  assert.equal(await openIngest(lease, WANT), undefined);
  assert.ok(hasBlob(t.store, WANT.digest));
});

test("a part that is too long or wholly wrong is begun again at byte 0", async () => {
  for (const content of [makeBytes(BYTES.length + 1), makeBytes(BYTES.length, 99)]) {
    using t = makeTestStore();
    using lease = openLease(t.store);
    writeFileSync(join(t.store.path, "ingest", `${WANT.digest.slice(7)}.part`), content);
    using ingest = await openIngest(lease, WANT);
    assert.equal(ingest!.offset, 0);
    ingest!.write(BYTES);
    await ingest!.commit();
    assert.ok(hasBlob(t.store, WANT.digest));
  }
});

test("other content than the digest says is thrown away, and the same download can begin again", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  using ingest = await openIngest(lease, WANT);
  ingest!.write(makeBytes(BYTES.length, 5));
  await assert.rejects(ingest!.commit(), { code: "DIGEST_MISMATCH" });
  assert.ok(!hasBlob(t.store, WANT.digest));
  assert.equal(ingest!.offset, 0);
  ingest!.write(BYTES);
  await ingest!.commit();
  assert.ok(hasBlob(t.store, WANT.digest));
});

test("A-098 more bytes than the descriptor says are refused when the first of them comes", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  using ingest = await openIngest(lease, WANT);
  ingest!.write(BYTES);
  assert.throws(() => ingest!.write(new Uint8Array(1)), { code: "SIZE_MISMATCH" });
});

test("one download per digest: the others wait, see how far it is, and find it complete", async () => {
  for (const host of HOSTS.slice(0, 2)) {
    using t = makeTestStore(host);
    using lease = openLease(t.store);
    using ingest = await openIngest(lease, WANT);
    ingest!.write(BYTES.subarray(0, 1000));
    let seen = -1;
    let sawHalf = () => {};
    const half = new Promise<void>((resolve) => sawHalf = resolve);
    const other = openIngest(lease, WANT, {
      onWait: (size) => {
        seen = size;
        sawHalf();
      },
    });
    await half;
    assert.equal(seen, 1000);
    ingest!.write(BYTES.subarray(1000));
    await ingest!.commit();
    assert.equal(await other, undefined);
  }
});

test("when the one that downloads gives up, a waiting one goes on where it stopped", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const first = await openIngest(lease, WANT);
  first!.write(BYTES.subarray(0, 1000));
  const other = openIngest(lease, WANT, { onWait: () => first![Symbol.dispose]() });
  using second: Ingest | undefined = await other;
  assert.equal(second!.offset, 1000);
});

test("waiting ends when the signal says so", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  using _ingest = await openIngest(lease, WANT);
  const abort = new AbortController();
  await assert.rejects(
    openIngest(lease, WANT, { signal: abort.signal, onWait: () => abort.abort(new Error("enough")) }),
    /enough/,
  );
});

test("without locks each process has a part of its own, and either may finish first", async () => {
  using t = makeTestStore({ tryLock: () => "unsupported" });
  using lease = openLease(t.store);
  using one = await openIngest(lease, WANT);
  using two = await openIngest(lease, WANT);
  one!.write(BYTES);
  two!.write(BYTES);
  await two!.commit();
  await one!.commit();
  assert.ok(hasBlob(t.store, WANT.digest, WANT.size));
  lease[Symbol.dispose]();
  assert.deepEqual(listIngest(t.store), []);
});

test("without locks the part of a dead process is taken over, that of a living one is not", async () => {
  using t = makeTestStore({ tryLock: () => "unsupported" });
  using lease = openLease(t.store);
  const hex = WANT.digest.slice(7);
  const living = join(t.store.path, "ingest", `${hex}.${formatMark(ownMark())}.aaaaaaaaaaaa.part`);
  writeFileSync(living, BYTES.subarray(0, 10));
  writeFileSync(join(t.store.path, "ingest", `${hex}.${deadMark()}.bbbbbbbbbbbb.part`), BYTES.subarray(0, 500));
  using ingest = await openIngest(lease, WANT);
  assert.equal(ingest!.offset, 500);
  assert.equal(statSync(living).size, 10);
});

test("C-045 what cannot fit is refused before its first byte, with the file system and both numbers", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  await assert.rejects(
    openIngest(lease, { digest: WANT.digest, size: 10 ** 15 }),
    (error: Error & { code?: string; hint?: string }) =>
      error.code === "ENOSPC" && /file system ".+" is full: 1 PB more needed, .+ free/.test(error.message) &&
      error.hint !== undefined,
  );
});

test("content of unknown digest is gone when it is not committed", async () => {
  using t = makeTestStore();
  {
    using lease = openLease(t.store);
    {
      using staged = new StagedBlob(lease, "a layer");
      staged.write(BYTES);
    }
    using staged = new StagedBlob(lease, "a layer");
    staged.write(BYTES);
    assert.deepEqual(await staged.commit(), WANT);
  }
  assert.deepEqual(listIngest(t.store), []);
  assert.deepEqual(readdirSync(join(t.store.path, "blobs/sha256")), [WANT.digest.slice(7)]);
});

test("C-050 living leases hold their digests, dead ones hold nothing and are removed", async () => {
  for (const host of HOSTS) {
    using t = makeTestStore(host);
    using lease = openLease(t.store);
    await holdDigest(lease, WANT.digest);
    const dead = join(t.store.path, "ingest", `0123456789abcdef.${deadMark()}.lease`);
    writeFileSync(dead, `${hashBytes("old")}\n`);
    const foreign = join(t.store.path, "ingest", `0123456789abcdef.${"0".repeat(12)}.1-1.lease`);
    writeFileSync(foreign, `${hashBytes("foreign")}\n`);
    const held = await withStoreLock(t.store, () => readLeases(t.store, Date.now()));
    const isForeignKept = host.isShared === true || host.tryLock !== undefined;
    assert.deepEqual([...held].sort(), [WANT.digest, ...(isForeignKept ? [hashBytes("foreign")] : [])].sort());
    if (isForeignKept) {
      utimesSync(foreign, 1, 1);
      assert.deepEqual([...readLeases(t.store, Date.now())], [WANT.digest]);
    }
    assert.equal(listIngest(t.store).length, 1);
  }
});
