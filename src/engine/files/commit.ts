/**
 * `commit`: what a container has changed becomes a layer on its image, what it was asked for becomes the new image's
 * configuration.
 *
 * @module
 */
import { decodeRequest } from "#docker/request_codec.ts";
import type { RunRequest } from "#docker/run_request.ts";
import { applyChanges } from "#image/change.ts";
import type { ImageContent } from "#image/closure.ts";
import { commitImage } from "#image/commit.ts";
import { findImage } from "#image/find.ts";
import { signalName } from "#linux/signals.ts";
import { DugoutError } from "#oci/error.ts";
import { parseRunConfig, type RunConfig } from "#oci/image_config.ts";
import { familiarReference, type Reference } from "#oci/reference.ts";
import { containerTrees } from "./container_trees.ts";
import { type ContainerRecord, labelsOf } from "../record/container_record.ts";
import { oldRecord, viewMap } from "./container_view.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import { ensureLayers, openLayerStore } from "../prepare/layers.ts";
import { readFromWorker } from "./read_from_worker.ts";
import { keptImageEnv } from "../prepare/spec.ts";
import { runInWorker } from "../worker.ts";

/** What a commit is asked for. */
export interface CommitRequest {
  readonly reference: Reference | undefined;
  /** `-c`: Dockerfile instructions. */
  readonly changes: readonly string[];
  readonly author: string | undefined;
  readonly message: string | undefined;
}

/**
 * Makes an image of a container.
 * @throws {DugoutError} CHANGE_INVALID before anything is made; IMAGE_GONE, NO_IMAGE, WHITEOUT_NAME, ENOSPC.
 */
export async function commitContainer(
  engine: Engine,
  record: ContainerRecord,
  request: CommitRequest,
): Promise<ImageContent> {
  if (record.request === undefined) throw oldRecord(record);
  const kept = decodeRequest(record.request);
  const trees = containerTrees(engine, record);
  const base = findBase(engine, record);
  const imageConfig = parseRunConfig(record.imageConfig ?? "{}", "the record of a container");
  const config = applyChanges(committedConfig(imageConfig, kept.request), request.changes);
  const map = viewMap(record);
  let warnings: readonly string[] = [];
  const image = await commitImage(engine.store, {
    base,
    config,
    createdBy: record.command.join(" "),
    author: request.author,
    comment: request.message,
    reference: request.reference,
    nowMs: Date.now(),
    writeLayer: async (write) => {
      const result = await readFromWorker(
        (data) => runInWorker(map, { kind: "archiveChanges", ...trees }, { data, inNamespace: true }),
        write,
      );
      warnings = result.warnings;
      return result.count;
    },
  });
  warnings.forEach(engine.warn);
  try {
    // a run of it has nothing to wait for then
    await ensureLayers(openLayerStore(engine, map), image);
  } catch (error) {
    // a full disk: the image is there all the same
    engine.warn(`the new layer is not unpacked yet: ${(error as Error).message}`);
  }
  const name = request.reference === undefined ? {} : { imageRef: familiarReference(request.reference) };
  noteEvent(
    engine,
    containerEvent(record, "commit", { comment: request.message ?? "", imageID: image.id, ...name }),
  );
  return image;
}

function findBase(engine: Engine, record: ContainerRecord): ImageContent {
  const found = record.imageId === undefined ? undefined : findImage(engine.store, record.imageId);
  if (found !== undefined) return found.image;
  throw record.imageId === undefined
    ? new DugoutError("NO_IMAGE", `Cannot commit the container "${record.name}": it was not made from an image`, {
      exitCode: 1,
      hint: "'dugout export' and 'dugout import' make an image of all of it",
    })
    : new DugoutError(
      "IMAGE_GONE",
      `Cannot commit the container "${record.name}": its image "${record.imageId}" is not in the store`,
      { exitCode: 1, hint: "pull or load it again, or use 'dugout export' and 'dugout import'" },
    );
}

/** The image's configuration with what the container was asked for in its place, as docker merges them. */
export function committedConfig(image: RunConfig, request: RunRequest): RunConfig {
  const env = new Map(keptImageEnv(image, request).map((entry) => [entry.split("=", 1)[0]!, entry]));
  for (const [name, value] of request.env) env.set(name, `${name}=${value}`);
  const entrypoint = request.entrypoint ?? image.Entrypoint;
  // an entrypoint of its own makes the image's arguments meaningless
  const command = request.command ?? (request.entrypoint === undefined ? image.Cmd : undefined);
  const labels = labelsOf(image, request);
  const ports = request.exposedPorts.flatMap(({ first, last, protocol }) =>
    Array.from({ length: last - first + 1 }, (_, at) => `${first + at}/${protocol}`)
  );
  const { Entrypoint: _entrypoint, Cmd: _command, Env: _env, ...rest } = image;
  return {
    ...rest,
    ...(env.size === 0 ? {} : { Env: [...env.values()] }),
    ...(entrypoint === undefined || entrypoint.length === 0 ? {} : { Entrypoint: [...entrypoint] }),
    ...(command === undefined || command.length === 0 ? {} : { Cmd: [...command] }),
    ...(labels.size === 0 ? {} : { Labels: labels }),
    ...(ports.length === 0 ? {} : { ExposedPorts: [...new Set([...image.ExposedPorts ?? [], ...ports])] }),
    ...(request.user === undefined ? {} : { User: request.user }),
    ...(request.workingDir === undefined ? {} : { WorkingDir: request.workingDir }),
    ...(request.stopSignal === undefined ? {} : { StopSignal: signalName(request.stopSignal) }),
    ...(request.stopTimeoutSeconds === undefined ? {} : { StopTimeout: request.stopTimeoutSeconds }),
  };
}
