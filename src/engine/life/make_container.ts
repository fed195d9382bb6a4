/**
 * What a container is before it runs: planned, then made (its name, its directories, its record, its mounts).
 *
 * @module
 */
import * as fs from "node:fs";
import type { IdMap } from "#linux/idmap.ts";
import { batchJob } from "#linux/batch_job.ts";
import { DugoutError } from "#oci/error.ts";
import type { RunConfig } from "#oci/image_config.ts";
import { quote } from "#oci/text.ts";
import type { RunOptions, RunRequest } from "#docker/run_request.ts";
import { isMapped } from "#runtime/identity.ts";
import type { ResolvedUser } from "#runtime/users.ts";
import {
  type ContainerDirectory,
  containerDirectory,
  makeContainerDirectory,
  writeRecord,
} from "../record/container_directory.ts";
import { makeContainerId } from "../record/container_id.ts";
import {
  makeRecord,
  readRecord,
  type RecordedMount,
  type RecordInput,
  recordMounts,
} from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { sharesHostNetwork } from "../network/wants_networks.ts";
import { makeTreeDirectories } from "../prepare/host_tree.ts";
import { type ContainerLimits, openLimits } from "../prepare/limits.ts";
import { copyLayers } from "../prepare/layers.ts";
import type { OpenedMounts } from "../prepare/open_mounts.ts";
import { isNoexec } from "../paths.ts";
import type { RootSource } from "../prepare/prepare.ts";
import { discardContainer, forgetContainer, ownVolumes } from "./remove.ts";
import { healthConfig } from "../health/health_config.ts";
import { openRoot } from "../prepare/root.ts";
import { needsOpening, plainMounts } from "../volumes/volume_mounts.ts";

/** What a container is made of. */
export interface MakeInput {
  readonly engine: Engine;
  readonly request: RunRequest;
  readonly options: RunOptions;
  /** Gets the image where it is not there: pulls it. Absent: that is an error. */
  readonly fetchImage?: (text: string) => Promise<void>;
  /** Whether it is made to be started later. */
  readonly isNew?: boolean;
  /** What was typed behind `run` or `create`, where that says all: another one can be made with it. */
  readonly typed?: readonly string[] | undefined;
}

/** A container that is planned, with nothing made yet. */
export interface Plan {
  readonly directory: ContainerDirectory;
  readonly root: RootSource;
  readonly map: IdMap;
  readonly user: ResolvedUser;
  readonly limits: ContainerLimits | undefined;
}

/** Plans a container: its image is found, pulled and unpacked. */
export async function planRun({ engine, request, options, fetchImage, isNew }: MakeInput): Promise<Plan> {
  const id = makeContainerId();
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, id);
  checkDefaultNetwork(request);
  const limits = await openLimits(engine, request, options.detach && isNew !== true);
  const opened = await openRoot({ engine, request, options, directory, fetchImage });
  checkHealthAction(request, opened.root.config);
  return { directory, limits, ...opened };
}

/** Of a container without a check nobody will ever say that it is unhealthy. */
function checkHealthAction({ health }: RunRequest, config: RunConfig): void {
  if (health.kind !== "image" || health.onFailure === undefined || healthConfig(health, config) !== undefined) return;
  throw new DugoutError(
    "HEALTH_UNDEFINED",
    `Cannot use --health-on-failure ${health.onFailure}: neither the image nor --health-cmd has a health check`,
  );
}

/** What cannot be where there is no network but the host's. @throws {DugoutError} NETWORK_MISSING. */
function checkDefaultNetwork(request: RunRequest): void {
  if (request.network.kind !== "default" || !sharesHostNetwork(request)) return;
  const [asked] = request.endpoints;
  const wants: [string, boolean][] = [
    ["publish a port", request.ports.length > 0 || request.publishAll],
    ["give the container an address or a name of its own", asked !== undefined],
    ["say where it may connect to", request.egress.length > 0],
    ["link to another container", request.links.length > 0],
    [
      "change a setting of the network (--sysctl net.…)",
      [...request.sysctls.keys()].some((key) => key.startsWith("net.")),
    ],
  ];
  const wish = wants.find(([, isWanted]) => isWanted)?.[0];
  if (wish === undefined) return;
  throw new DugoutError("NETWORK_MISSING", `Cannot ${wish}: the container would share this machine's network`, {
    hint: batchJob() === undefined
      ? "networks of containers need /dev/net/tun: ask the administrator for 'chmod 666 /dev/net/tun'"
      : "in a job of a batch system there is no other",
  });
}

const PORTS_OF_HOST = "Published ports are discarded when using host network mode";

const NO_TUN =
  "the container shares this machine's network: /dev/net/tun cannot be opened, by which networks of containers lead outwards (ask the administrator for 'chmod 666 /dev/net/tun', as distributions have it; say --network host or none to choose)";

/** What the user has to know of a container that is started. */
export function startNotices(request: RunRequest, { limits }: Pick<Plan, "limits">): string[] {
  const publishes = request.ports.length > 0 || request.publishAll;
  return [
    ...(request.network.kind === "default" && sharesHostNetwork(request) && batchJob() === undefined ? [NO_TUN] : []),
    ...(sharesHostNetwork(request) && publishes ? [PORTS_OF_HOST] : []),
    ...limits?.notices ?? [],
  ];
}

/** Refuses a store from which nothing can be executed. @throws {DugoutError} STORE_NOEXEC. */
export function checkStore({ dataRoot }: Engine): void {
  if (!isNoexec(dataRoot)) return;
  throw new DugoutError(
    "STORE_NOEXEC",
    `Cannot run from ${
      quote(dataRoot)
    }: its file system is mounted noexec, so that no program of an image can be executed`,
    {
      hint: "name a directory on another file system with --root",
    },
  );
}

/** Makes all that a container has on disk. From its record on it is known to others. */
export async function makeContainer(input: MakeInput, plan: Plan, name: string): Promise<OpenedMounts> {
  const { options, request } = input;
  const { directory, root } = plan;
  if (options.cidfile !== undefined) writeNewFile(options.cidfile, directory.id, "--cidfile");
  makeContainerDirectory(directory, rootMode(root));
  // what the tape itself cannot give away: --userns nomap
  if (!isMapped(plan.map, input.engine.identity)) {
    (await import("#runtime/give_to_root.ts")).giveToRoot(plan.map, [directory.upper, directory.work]);
  }
  // what takes long is done by a container on record, so that nobody takes it for left behind
  if (root.copyOf !== undefined || needsOpening(request, root.config)) record(input, plan, name, []);
  if (root.rootfs.kind === "tree") makeTreeDirectories(root.rootfs.parts);
  if (root.copyOf !== undefined) await copyLayers(root.copyOf, root.rootfs);
  if (!needsOpening(request, root.config)) {
    record(input, plan, name, recordMounts(request.mounts));
    return { mounts: plainMounts(request), anonymous: [] };
  }
  return await (await import("../prepare/open_mounts.ts")).openMounts({
    ...input,
    ...plan,
    fetchImage: input.fetchImage,
    record: (mounts, images) => record(input, plan, name, mounts, images),
  });
}

/** Removes what was made of a container that will not be. */
export async function unmakeContainer({ engine, options }: MakeInput, plan: Plan, name: string): Promise<void> {
  const { directory } = plan;
  if (options.cidfile !== undefined) removeOwnFile(options.cidfile, directory.id);
  try {
    const own = ownVolumes(readRecord(engine.dataRoot, directory.id));
    await discardContainer(engine, directory);
    await forgetContainer(engine, { id: directory.id, name }, own);
  } catch (error) {
    engine.warn(`what was made for the container could not be removed: ${(error as Error).message}`);
  }
}

function record(
  { request, options, isNew, typed }: MakeInput,
  { directory, root, map }: Plan,
  name: string,
  mounts: readonly RecordedMount[],
  mountedImages: RecordInput["mountedImages"] = [],
): void {
  const made = makeRecord({ id: directory.id, name, request, options, root, map, mounts, mountedImages });
  writeRecord(directory, isNew ? asNew(made, typed) : made);
}

/** The record of a container that is made to be started later, with the words that asked for it. */
export function asNew<Made extends object>(made: Made, typed: readonly string[] | undefined) {
  return { ...made, isNew: true, words: typed ?? [] };
}

/** The mode of the image's root directory. */
export function rootMode(root: RootSource): number {
  const top = root.lowers[0];
  return top === undefined ? 0o755 : fs.statSync(top).mode & 0o7777;
}

function writeNewFile(path: string, text: string, option: string): void {
  try {
    fs.writeFileSync(path, text, { flag: "wx" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST"
      ? "it is there already: make sure the other container is not running and delete it"
      : String(code);
    throw new DugoutError("CIDFILE_FAILED", `Cannot write the ${option} ${quote(path)}: ${why}`, { cause: error });
  }
}

function removeOwnFile(path: string, id: string): void {
  try {
    if (fs.readFileSync(path, "latin1") === id) fs.unlinkSync(path);
  } catch {
    // not there, or not ours
  }
}
