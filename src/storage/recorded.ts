/**
 * What a layer's record says and the disk does not, given back to entries of an archive (C-010 … C-013).
 *
 * @module
 */
import type { FileStat } from "#linux/stat.ts";
import type { Digest } from "#oci/digest.ts";
import type { ByteString } from "#tar/bytes.ts";
import type { TarEntry } from "#tar/entry.ts";
import { type LayersPath, readLayerRecord } from "./layers.ts";
import { type PathRecord, readValue, readXattrName } from "./record.ts";

/** The records of layers, each read when it is wanted. */
export class LayerRecords {
  readonly #layers: LayersPath;
  readonly #diffIds: readonly Digest[];
  readonly #read = new Map<number, ReadonlyMap<ByteString, PathRecord>>();

  /** @param diffIds Topmost first. */
  constructor(layers: LayersPath, diffIds: readonly Digest[]) {
    this.#layers = layers;
    this.#diffIds = diffIds;
  }

  /** All that the layer with this index has on record. */
  of(index: number): ReadonlyMap<ByteString, PathRecord> {
    let paths = this.#read.get(index);
    if (paths === undefined) {
      const diffId = this.#diffIds[index];
      paths = (diffId === undefined ? undefined : readLayerRecord(this.#layers, diffId)?.paths) ?? new Map();
      this.#read.set(index, paths);
    }
    return paths;
  }
}

/**
 * Gives an entry what the record of the file in a layer says.
 * @param isSame Whether it is the layer's file, or a copy of it that nobody has changed: the kernel takes set-id bits and
 * capabilities from a file that is written to, so they are not given to one that was.
 */
export function restoreRecorded(entry: TarEntry, stat: FileStat, record: PathRecord, isSame: boolean): TarEntry {
  const isPlain = entry.kind === "file" || entry.kind === "directory";
  const keepsRights = isSame || entry.kind === "directory";
  const hasMode = record.mode !== undefined && keepsRights && isPlain &&
    (record.mode & 0o1777) === (stat.mode & 0o1777);
  const { device } = record;
  const isDevice = device !== undefined && entry.kind === "file" && stat.sizeBytes === 0;
  const recorded = keepsRights && isPlain ? Object.entries(record.xattrs ?? {}) : [];
  return {
    ...entry,
    // on disk it is root's where an owner could not be had; another one was given since
    uid: record.uid !== undefined && stat.uid === 0 ? record.uid : entry.uid,
    gid: record.gid !== undefined && stat.gid === 0 ? record.gid : entry.gid,
    mode: hasMode ? record.mode! : entry.mode,
    ...(isDevice ? { kind: device.kind, deviceMajor: device.major, deviceMinor: device.minor } : {}),
    xattrs: isDevice || recorded.length === 0 ? entry.xattrs : new Map([
      ...entry.xattrs,
      ...recorded.map(([name, value]) => [readXattrName(name), readValue(value)] as const),
    ]),
  };
}
