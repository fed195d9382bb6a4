/**
 * The filters of `ps` and `container prune`.
 *
 * @module
 */
import { parsePointInTime } from "#image/point_in_time.ts";
import { findNetwork } from "#network/network_file.ts";
import { DugoutError } from "#oci/error.ts";
import { parseReference } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import { type Container, findContainer } from "../record/containers.ts";
import { listPorts, publishedPorts } from "./describe_networks.ts";
import { exposedPorts, shownNetworks, stateWord } from "./describe_container.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { healthOf } from "../health/describe_health.ts";
import { restartPolicyOf } from "../keeper/restart_policy.ts";
import { compileNamePattern } from "./name_pattern.ts";
import { shownExitCode } from "../record/containers.ts";
import { wasStopped } from "../record/stop_marks.ts";

/** Keys that `ps` takes, and those that `container prune` takes (Docker CLI reference). */
export const LIST_CONTAINER_FILTERS: readonly string[] = [
  "id",
  "name",
  "label",
  "label!",
  "until",
  "exited",
  "status",
  "ancestor",
  "before",
  "since",
  "volume",
  "network",
  "publish",
  "expose",
  "health",
  "is-task",
  "restart-policy",
  "should-start-on-boot",
];
export const PRUNE_CONTAINER_FILTERS: readonly string[] = ["until", "label", "label!"];

const STATES: readonly string[] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];

/** Whether `8080`, `8000-8010` or `53/udp` means a port. */
function isPortOf(text: string, port: number, protocol: string): boolean {
  const [range = "", wanted = "tcp"] = text.split("/");
  const [first = "", last = first] = range.split("-");
  return wanted === protocol && port >= Number(first) && port <= Number(last);
}

/** Whether a container is made for a network, named or by its id. */
function namesNetwork(engine: Engine, record: ContainerRecord, value: string): boolean {
  const names = shownNetworks(record);
  return names.includes(value) || names.includes(findNetwork(engine.dataRoot, value)?.name ?? "");
}

/** What was typed, values by key. Values of one key are alternatives, but labels must all fit. */
export type ContainerFilter = ReadonlyMap<string, readonly string[]>;

/**
 * Reads filters as they were typed: `status=exited`, `label=a=b`.
 * @throws {DugoutError} FILTER_INVALID.
 */
export function parseContainerFilters(texts: readonly string[], allowed: readonly string[]): ContainerFilter {
  const filter = new Map<string, string[]>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    if (equals < 0) throw badFilter(text, 'it has no "="');
    const key = text.slice(0, equals).trim().toLowerCase();
    const value = text.slice(equals + 1).trim();
    if (!allowed.includes(key)) throw badFilter(text, `the filters here are ${allowed.join(", ")}`);
    if (key === "status" && !STATES.includes(value)) throw badFilter(text, `states are ${STATES.join(", ")}`);
    if (key === "exited" && !/^-?[0-9]{1,9}$/.test(value)) throw badFilter(text, "it is an exit code");
    filter.set(key, [...filter.get(key) ?? [], value]);
  }
  return filter;
}

function badFilter(text: string, why: string): DugoutError {
  return new DugoutError("FILTER_INVALID", `Cannot use the filter ${quote(text)}: ${why}`, { exitCode: 1 });
}

/**
 * Which containers fit.
 * @throws {DugoutError} CONTAINER_UNKNOWN for a container of `before` or `since`; FILTER_INVALID for a pattern.
 */
export function compileContainerFilter(
  engine: Engine,
  filter: ContainerFilter,
  nowMs: number,
): (container: Container) => boolean {
  const tests = [...filter].map(([key, values]) => compileTest(engine, key, values, nowMs));
  return (container) => tests.every((test) => test(container));
}

type Test = (container: Container) => boolean;

function compileTest(engine: Engine, key: string, values: readonly string[], nowMs: number): Test {
  const any = (test: (container: Container, value: string) => boolean): Test => (container) =>
    values.some((value) => test(container, value));
  switch (key) {
    case "id": {
      const patterns = values.map((value) => compileNamePattern(value.startsWith("^") ? value : `^${value}`));
      return ({ record }) => patterns.some((fits) => fits(record.id));
    }
    case "name": {
      const patterns = values.map(compileNamePattern);
      // Docker's names begin with a slash, which patterns may have or not
      return ({ record: { name } }) => patterns.some((fits) => fits(name) || fits(`/${name}`));
    }
    case "label":
    case "label!":
      return ({ record }) => values.every((value) => hasLabel(record.labels, value) === (key === "label"));
    case "exited":
      return any((container, value) =>
        container.status.kind === "exited" && shownExitCode(container) === Number(value)
      );
    case "status":
      return any((container, value) => stateWord(container.status) === value);
    case "ancestor":
      return any(({ record }, value) => isMadeFrom(record.image, record.imageId, value));
    case "before":
    case "since": {
      const times = values.map((value) => findContainer(engine, value).record?.created ?? "");
      return ({ record }) => times.some((time) => key === "before" ? record.created < time : record.created > time);
    }
    case "volume":
      return any(({ record }, value) =>
        record.mounts.some(({ volume, target, source }) => volume === value || target === value || source === value)
      );
    case "network":
      return any(({ record }, value) => namesNetwork(engine, record, value));
    case "publish":
      return any(({ record: { id } }, value) =>
        listPorts(publishedPorts(engine, id)).some(({ hostPort, port }) =>
          isPortOf(value, hostPort, port.split("/")[1]!)
        )
      );
    case "expose":
      return any(({ record }, value) =>
        exposedPorts(record).some((port) => isPortOf(value, Number(port.split("/")[0]), port.split("/")[1]!))
      );
    case "health":
      return any((container, value) => (healthOf(engine, container)?.status ?? "none") === value);
    case "restart-policy":
      return any(({ record }, value) => restartPolicyOf(record).kind === value);
    case "should-start-on-boot":
      return any(({ record }, value) => startsOnBoot(engine, record) === (value === "true" || value === "1"));
    case "is-task":
      return any((_, value) => value === "false" || value === "0");
    case "until": {
      const times = values.map((value) => parsePointInTime(value, nowMs));
      return ({ record }) => times.some((time) => Date.parse(record.created) < time);
    }
    default:
      return () => false;
  }
}

/** As after a start of Docker's daemon: what somebody has stopped stays so, unless it is to run always. */
function startsOnBoot(engine: Engine, record: ContainerRecord): boolean {
  const { kind } = restartPolicyOf(record);
  return kind === "always" || (kind === "unless-stopped" && !record.isNew && !wasStopped(engine, record.id));
}

/** `NAME` or `NAME=VALUE`. */
export function hasLabel(labels: ReadonlyMap<string, string>, wanted: string): boolean {
  const equals = wanted.indexOf("=");
  const found = labels.get(equals < 0 ? wanted : wanted.slice(0, equals));
  return found !== undefined && (equals < 0 || found === wanted.slice(equals + 1));
}

function isMadeFrom(image: string | undefined, imageId: string | undefined, wanted: string): boolean {
  const hex = wanted.replace(/^sha256:/, "");
  if (imageId !== undefined && /^[0-9a-f]{6,64}$/.test(hex) && imageId.slice(7).startsWith(hex)) return true;
  return image !== undefined && (image === wanted || inFull(image) === inFull(wanted));
}

function inFull(name: string): string {
  try {
    const { domain, path, tag, digest } = parseReference(name);
    return `${domain}/${path}${digest === undefined ? `:${tag}` : `@${digest}`}`;
  } catch {
    return name;
  }
}
