import { stateWord } from "#engine/describe/describe_container.ts";
import { type DiskUsage, measureDisk } from "#engine/store/disk_usage.ts";
import { openContainerContext } from "../context.ts";
import { formatRows, type ListShape, type Row } from "../format/rows.ts";
import { humanSize } from "../format/units.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { writeJson } from "../template/json.ts";
import { parseTemplate } from "../template/parse.ts";
import { renderTemplate } from "../template/render.ts";
import { describeImageRows } from "./images.ts";
import { describeContainerRow } from "./ps.ts";

const SUMMARY: ListShape = {
  noun: "disk usage",
  headers: { Type: "TYPE", TotalCount: "TOTAL", Active: "ACTIVE", Size: "SIZE", Reclaimable: "RECLAIMABLE" },
  columns: ["Type", "TotalCount", "Active", "Size", "Reclaimable"],
};

/** `dugout system df` */
export async function runDiskUsage({ options, global }: Invocation): Promise<number> {
  const format = textOption(options, "format");
  const engine = await openContainerContext(global);
  const usage = await measureDisk(engine);
  if (!hasSwitch(options, "verbose")) {
    printOut(formatRows(summarize(usage), SUMMARY, format));
    return 0;
  }
  const details = describeDetails(usage, Date.now());
  if (format === undefined || format === "" || format === "table") printOut(layOut(details));
  else if (format === "json") printOut(writeJson(details, { indent: 0 }) + "\n");
  else printOut(renderTemplate(parseTemplate(format), details) + "\n");
  return 0;
}

function summarize({ images, imageBytes, containers, volumes }: DiskUsage): Row[] {
  const sum = (sizes: readonly number[]): number => sizes.reduce((bytes, size) => bytes + size, 0);
  const usedImages = images.filter((image) => image.containers > 0);
  const running = containers.filter(({ status }) => status.kind === "running");
  const idle = containers.filter(({ status }) => status.kind !== "running");
  const usedVolumes = volumes.filter(({ users }) => users > 0);
  const unusedVolumes = volumes.filter(({ users }) => users === 0);
  const ownOfUsed = sum(usedImages.map(({ sizeBytes, sharedBytes }) => sizeBytes - sharedBytes));
  return [
    summaryRow("Images", images.length, usedImages.length, imageBytes, imageBytes - ownOfUsed),
    summaryRow(
      "Containers",
      containers.length,
      running.length,
      sum(containers.map(({ size }) => size.ownBytes)),
      sum(idle.map(({ size }) => size.ownBytes)),
    ),
    summaryRow(
      "Local Volumes",
      volumes.length,
      usedVolumes.length,
      sum(volumes.map(({ sizeBytes }) => sizeBytes)),
      sum(unusedVolumes.map(({ sizeBytes }) => sizeBytes)),
    ),
    { Type: "Build Cache", TotalCount: "0", Active: "0", Size: "0B", Reclaimable: "0B" },
  ];
}

function summaryRow(type: string, total: number, active: number, sizeBytes: number, freeBytes: number): Row {
  const percent = sizeBytes === 0 ? "" : ` (${Math.trunc(freeBytes * 100 / sizeBytes)}%)`;
  return {
    Type: type,
    TotalCount: String(total),
    Active: String(active),
    Size: humanSize(sizeBytes),
    Reclaimable: `${humanSize(freeBytes)}${percent}`,
  };
}

/** Docker's four lists, as templates see them. */
interface Details {
  readonly Images: readonly Row[];
  readonly Containers: readonly Row[];
  readonly Volumes: readonly Row[];
  readonly BuildCache: readonly Row[];
}

function describeDetails({ images, containers, volumes }: DiskUsage, nowMs: number): Details {
  const rules = { nowMs, layerBytes: () => undefined, showsDigests: false, idsInFull: false };
  return {
    Images: images.flatMap(({ image, sizeBytes, sharedBytes, containers: users }) =>
      describeImageRows(image, rules).map((row) => ({
        ...row,
        Size: humanSize(sizeBytes, 3),
        SharedSize: humanSize(sharedBytes),
        UniqueSize: humanSize(sizeBytes - sharedBytes),
        Containers: String(users),
      }))
    ),
    Containers: containers.map((container) => ({
      ...describeContainerRow(container, nowMs, false, container.size),
      Size: humanSize(container.size.ownBytes, 3),
      State: stateWord(container.status),
    })),
    Volumes: volumes.map(({ volume, sizeBytes, users }) => ({
      Name: volume.name,
      Driver: "local",
      Mountpoint: volume.data,
      Scope: "local",
      Links: String(users),
      Size: humanSize(sizeBytes),
      Labels: [...volume.labels].map(([key, value]) => `${key}=${value}`).join(","),
    })),
    BuildCache: [],
  };
}

const IMAGE_COLUMNS = {
  Repository: "REPOSITORY",
  Tag: "TAG",
  ID: "IMAGE ID",
  CreatedSince: "CREATED",
  Size: "SIZE",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
  Containers: "CONTAINERS",
};
const CONTAINER_COLUMNS = {
  ID: "CONTAINER ID",
  Image: "IMAGE",
  Command: "COMMAND",
  LocalVolumes: "LOCAL VOLUMES",
  Size: "SIZE",
  RunningFor: "CREATED",
  Status: "STATUS",
  Names: "NAMES",
};
const VOLUME_COLUMNS = { Name: "VOLUME NAME", Links: "LINKS", Size: "SIZE" };
const CACHE_COLUMNS = {
  ID: "CACHE ID",
  CacheType: "CACHE TYPE",
  Size: "SIZE",
  CreatedSince: "CREATED",
  LastUsedSince: "LAST USED",
  UsageCount: "USAGE",
  Shared: "SHARED",
};

function layOut({ Images, Containers, Volumes, BuildCache }: Details): string {
  const table = (rows: readonly Row[], headers: Readonly<Record<string, string>>): string =>
    formatRows(rows, { noun: "disk usage", headers, columns: Object.keys(headers) }, undefined);
  return `Images space usage:\n\n${table(Images, IMAGE_COLUMNS)}\n` +
    `Containers space usage:\n\n${table(Containers, CONTAINER_COLUMNS)}\n` +
    `Local Volumes space usage:\n\n${table(Volumes, VOLUME_COLUMNS)}\n` +
    `Build cache usage: 0B\n\n${table(BuildCache, CACHE_COLUMNS)}`;
}
