import * as fs from "node:fs";
import { join } from "node:path";
import type { MountSpec } from "#oci/runtime_spec.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { RunRequest } from "#docker/run_request.ts";

/** What /dev has of its own in every container. */
const OWN = new Set([
  "null",
  "zero",
  "full",
  "random",
  "urandom",
  "tty",
  "pts",
  "ptmx",
  "shm",
  "mqueue",
  "console",
  "fd",
  "stdin",
  "stdout",
  "stderr",
  "core",
  "log",
]);

/**
 * Binds of device nodes: those of `--device`, and with `--privileged` every one that the caller may open. Rights on
 * them are the nodes' own (A user has no device cgroup).
 */
export function deviceMounts(request: RunRequest): MountSpec[] {
  const mounts = request.devices.flatMap(({ hostPath, containerPath }) =>
    findNodes(hostPath).map((node) => bindNode(node, containerPath + node.slice(hostPath.length)))
  );
  if (request.privileged) mounts.push(...privilegedNodes().map((node) => bindNode(node, node)));
  return mounts;
}

function bindNode(source: string, destination: string): MountSpec {
  return { destination, type: "bind", source, options: ["bind", "nosuid", "noexec"] };
}

/** The nodes at a path of the host: itself, or those of a directory (without going deeper). */
function findNodes(path: string): string[] {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new DugoutError(
      "DEVICE_NOT_FOUND",
      `Cannot find the device ${quote(path)}: there is nothing on this machine`,
    );
  }
  if (isNode(stat)) return [path];
  if (!stat.isDirectory()) {
    throw new DugoutError("NOT_A_DEVICE", `Cannot use ${quote(path)} as a device: it is no device node`);
  }
  return nodesIn(path);
}

function nodesIn(directory: string): string[] {
  return fs.readdirSync(directory).map((name) => join(directory, name)).filter((path) => {
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    return stat !== undefined && isNode(stat);
  });
}

function isNode(stat: fs.Stats): boolean {
  return stat.isCharacterDevice() || stat.isBlockDevice();
}

function privilegedNodes(): string[] {
  return nodesIn("/dev").filter((path) => {
    if (OWN.has(path.slice("/dev/".length))) return false;
    try {
      fs.accessSync(path, fs.constants.R_OK);
      return true;
    } catch {
      return false;
    }
  });
}
