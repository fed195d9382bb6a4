/**
 * `--sysctl`: kernel parameters of namespaces that the container has of its own.
 *
 * @module
 */
import { flagConflict, flagError } from "./flag_error.ts";
import { splitOnce } from "./text_rules.ts";

const FLAG = "--sysctl";

/** Parameters of the IPC namespace (ipc_namespaces(7)); beside them all of `fs.mqueue.`. */
const IPC_NAMES: ReadonlySet<string> = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** Which namespace a parameter belongs to; `undefined` when it is the whole machine's. */
export function sysctlNamespace(name: string): "ipc" | "network" | undefined {
  if (IPC_NAMES.has(name) || name.startsWith("fs.mqueue.")) return "ipc";
  return name.startsWith("net.") ? "network" : undefined;
}

/**
 * Reads one `NAME=value`. Each part of the name is checked, and the name given back with dots: it becomes a path.
 * @throws {DugoutError} FLAG_INVALID.
 */
export function parseSysctl(text: string): readonly [name: string, value: string] {
  const [nameText, value] = splitOnce(text, "=");
  if (value === undefined) throw flagError(FLAG, text, "not NAME=value");
  // as sysctl(8): the first separator says whether dots or slashes divide
  const first = /[./]/.exec(nameText)?.[0] ?? ".";
  const parts = nameText.split(first);
  if (nameText.length > 200 || !parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) {
    throw flagError(FLAG, text, "the name is no name of a kernel parameter");
  }
  const name = parts.join(".");
  if (sysctlNamespace(name) === undefined) {
    throw flagError(
      FLAG,
      text,
      `"${name}" belongs to the whole machine, not to a container`,
      "A container has net.*, fs.mqueue.*, kernel.msgmax, msgmnb, msgmni, sem, shmall, shmmax, shmmni and shm_rmid_forced",
    );
  }
  if (value.length > 4095 || /[\x00-\x08\x0a-\x1f\x7f-\x9f]/.test(value)) {
    throw flagError(FLAG, text, "the value has a control character, or more than 4095 characters");
  }
  return [name, value];
}

/**
 * Refuses parameters of a namespace that the container shares.
 * @param shared Which namespaces are not its own, and the flag that says so.
 */
export function checkSysctlNamespaces(
  names: Iterable<string>,
  shared: { ipc: string | undefined; network: string | undefined },
): void {
  for (const name of names) {
    const namespace = sysctlNamespace(name);
    const flag = namespace === undefined ? undefined : shared[namespace];
    if (flag !== undefined) {
      throw flagConflict(`--sysctl ${name} cannot be set with ${flag}: it would change another's`);
    }
  }
}
