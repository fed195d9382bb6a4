/**
 * `create` and `run`.
 *
 * @module
 */
import { type Fd, tryCall } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { inheritedFd } from "#linux/inherited.ts";
import { makeSocketPair, receiveFd } from "#linux/socket.ts";
import { readTerminalSize } from "#linux/terminal.ts";
import type { RuntimeSpec } from "#oci/runtime_spec.ts";
import { readContainer } from "#bundle/container_state.ts";
import { createContainer, type CreateRequest } from "#bundle/create.ts";
import { removeContainer } from "#bundle/delete.ts";
import { bundleError } from "#bundle/error.ts";
import { hookState, runHooks } from "#bundle/hooks.ts";
import { type Bundle, readBundle } from "#bundle/read_bundle.ts";
import { makeStateRoot } from "#bundle/state_root.ts";
import { holdSignals } from "#engine/streams/foreground.ts";
import { showTerminal, typeInto } from "#engine/streams/relay_terminal.ts";
import { unknownCapabilities } from "#runtime/bundle/process_steps.ts";
import { probeHost } from "#runtime/host.ts";
import { exitCodeOf, lostMonitorError } from "#runtime/launch_container.ts";
import type { Flags } from "./flags.ts";
import type { RuntimeInvocation } from "./main.ts";

/** `create`: sets a container up, and leaves it waiting. */
export function runCreate(invocation: RuntimeInvocation): number {
  const { flags } = invocation;
  const bundle = readBundleOf(invocation);
  const socket = flags.text("console-socket");
  requireConsole(bundle.spec, socket, true);
  createContainer({
    ...requestOf(invocation, bundle),
    start: { kind: "create" },
    console: socket === undefined ? undefined : { path: socket },
  });
  return 0;
}

/** `run`: creates and starts; unless detached, follows it to its end and removes it. */
export async function runRun(invocation: RuntimeInvocation): Promise<number> {
  const { flags } = invocation;
  const bundle = readBundleOf(invocation);
  const socket = flags.text("console-socket");
  const detaches = flags.has("detach");
  requireConsole(bundle.spec, socket, detaches);
  if (detaches) {
    const { stored, spec } = createContainer({
      ...requestOf(invocation, bundle),
      start: { kind: "detach" },
      console: socket === undefined ? undefined : { path: socket },
    });
    runHooks("poststart", spec.hooks?.poststart ?? [], hookState(stored, "running", stored.pid));
    return 0;
  }
  return await runInForeground(invocation, bundle);
}

async function runInForeground(invocation: RuntimeInvocation, bundle: Bundle): Promise<number> {
  const { log, flags } = invocation;
  const hasTerminal = bundle.spec.process?.terminal ?? false;
  const pair = hasTerminal ? makeSocketPair() : undefined;
  const signals = holdSignals();
  const { stored, spec, running } = createContainer({
    ...requestOf(invocation, hasTerminal ? withOwnSize(bundle) : bundle),
    start: { kind: "foreground" },
    console: pair === undefined ? undefined : { socket: pair[1] },
  });
  const pidfd = tryCall("pidfd_open", running.pid, 0);
  if (pidfd >= 0) signals.passTo(pidfd as Fd);
  const master = pair === undefined ? undefined : receiveFd(pair[0]);
  if (pair !== undefined) close(pair[0]);
  const typing = master === undefined ? undefined : typeInto(master, { interactive: true, detachKeys: [] });
  const shown = master === undefined ? undefined : showTerminal(master);
  try {
    runHooks("poststart", spec.hooks?.poststart ?? [], hookState(stored, "running", stored.pid));
    const status = await running.wait();
    await shown;
    if (status === undefined) throw lostMonitorError("while it ran");
    return exitCodeOf(status);
  } finally {
    typing?.stop();
    signals.release();
    if (pidfd >= 0) close(pidfd as Fd);
    if (!flags.has("keep")) {
      removeContainer(readContainer(invocation.root.path, stored.id), (message) => log.warn(message));
    }
  }
}

/** With the caller's terminal its size is the caller's, unless the bundle says another. */
function withOwnSize(bundle: Bundle): Bundle {
  const { process } = bundle.spec;
  const size = readTerminalSize(0 as Fd);
  if (process === undefined || process.consoleSize !== undefined || size === undefined) return bundle;
  const consoleSize = { width: size.columns, height: size.rows };
  return { ...bundle, spec: { ...bundle.spec, process: { ...process, consoleSize } } };
}

function readBundleOf({ flags, log }: RuntimeInvocation): Bundle {
  const bundle = readBundle(flags.text("bundle") ?? ".");
  const { process } = bundle.spec;
  const unknown = process === undefined ? [] : unknownCapabilities(process, probeHost().lastCapability);
  if (unknown.length > 0) log.warn(`ignoring unknown or unavailable capabilities: ${unknown.join(", ")}`);
  return bundle;
}

function requireConsole({ process }: RuntimeSpec, socket: string | undefined, detaches: boolean): void {
  if (!detaches && socket !== undefined) {
    throw bundleError("BUNDLE_INVALID", "cannot use console socket if the runtime will not detach or allocate tty");
  }
  if (process?.terminal && detaches && socket === undefined) {
    throw bundleError(
      "BUNDLE_INVALID",
      "cannot allocate tty if the runtime will detach without setting console socket",
    );
  }
  if (!process?.terminal && socket !== undefined) {
    throw bundleError("BUNDLE_INVALID", "cannot use console socket if the runtime will not detach or allocate tty");
  }
}

function requestOf(
  { flags, global, args, root }: RuntimeInvocation,
  bundle: Bundle,
): Omit<CreateRequest, "start" | "console"> {
  const { preserved, variables } = preservedFds(flags);
  const { process } = bundle.spec;
  const spec = process === undefined || variables.length === 0
    ? bundle.spec
    : { ...bundle.spec, process: { ...process, env: [...process.env ?? [], ...variables] } };
  return {
    id: args[0]!,
    root: makeStateRoot(root),
    bundle: { ...bundle, spec },
    pidFile: flags.text("pid-file"),
    preserved,
    pivots: !flags.has("no-pivot"),
    newKeyring: !flags.has("no-new-keyring"),
    groups: { systemd: global.has("systemd-cgroup"), optional: global.text("rootless") !== "false" },
  };
}

/**
 * The descriptors that the container keeps: those of socket activation (sd_listen_fds(3)), then N more.
 * @throws {DugoutError} BUNDLE_INVALID where one of them is not open.
 */
export function preservedFds(flags: Flags): { preserved: Fd[]; variables: string[] } {
  const listen = /^[0-9]{1,4}$/.test(process.env["LISTEN_FDS"] ?? "") ? Number(process.env["LISTEN_FDS"]) : 0;
  const count = listen + (flags.count("preserve-fds") ?? 0);
  const preserved = Array.from({ length: count }, (_, index) => {
    const fd = inheritedFd(3 + index);
    if (fd === undefined) {
      throw bundleError("BUNDLE_INVALID", `please check that preserved-fd ${index + 1} (of ${count}) is present`);
    }
    return fd;
  });
  return { preserved, variables: listen === 0 ? [] : [`LISTEN_FDS=${listen}`, "LISTEN_PID=1"] };
}
