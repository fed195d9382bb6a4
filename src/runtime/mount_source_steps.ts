/**
 * What mounts of the specification bind from the host: copied while the process is still the caller, who alone may reach
 * it, and attached later, as the container's root.
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "#linux/file.ts";
import { MNT_DETACH } from "#linux/mount.ts";
import { CLONE_NEWNS } from "#linux/namespaces.ts";
import type { MountSpec } from "#oci/runtime_spec.ts";
import { type Step, step } from "#tape/step.ts";
import { bindBeneathSteps, lowerOverlaySteps } from "./beneath_steps.ts";
import { type MountOptions, parseMountOptions } from "./mount_options.ts";
import { type BindOptions, bindSteps } from "./mount_steps.ts";
import type { ContainerSetup, MountContext } from "./setup.ts";

/** The id of the step that holds what is mounted: that of the mount's place in the specification. */
export function mountId(index: number): string {
  return `mount ${index}`;
}

/** Whether a mount is of something that is on the host, and not a file system of its own. */
export function isFromHost(mount: MountSpec, options: MountOptions): boolean {
  return options.bind || mount.type === "bind" || isLowerOverlay(mount, options);
}

/** Whether it is the files of an image: directories over each other. */
export function isLowerOverlay(mount: MountSpec, options: MountOptions): boolean {
  return mount.type === "overlay" && options.lowers.length > 0;
}

/** Copies the images that are mounted. To be done before the root's layers take the numbers that theirs have as well. */
export function openImageSourcesSteps(setup: ContainerSetup): Step[] {
  return sourcesOf(setup).filter(({ isImage }) => isImage).flatMap(({ source, options, id }) => [
    ...lowerOverlaySteps(`${id} lower`, options.lowers, source),
    ...sourceSteps(setup, { source, options, id }),
    step("umount2", [source, MNT_DETACH], "let go of", source),
  ]);
}

/** Copies the other mounts' sources, each as the step {@linkcode mountId}. */
export function openMountSourcesSteps(setup: Pick<MountContext, "spec" | "host" | "shmNamespace">): Step[] {
  return sourcesOf(setup).filter(({ isImage }) => !isImage).flatMap((source) => sourceSteps(setup, source));
}

/** What is mounted from the host, and the id of the step that will hold it. */
interface MountSource {
  readonly source: string;
  readonly options: MountOptions;
  readonly id: string;
}

function sourcesOf({ spec }: Pick<MountContext, "spec">): (MountSource & { readonly isImage: boolean })[] {
  return (spec.mounts ?? []).flatMap((mount, index) => {
    const options = parseMountOptions(mount.options ?? []);
    if (!isFromHost(mount, options)) return [];
    return [{ source: mount.source ?? "", options, id: mountId(index), isImage: isLowerOverlay(mount, options) }];
  });
}

function sourceSteps(setup: Pick<MountContext, "host" | "shmNamespace">, { source, options, id }: MountSource): Step[] {
  // before mount_setattr, restrictions come when it is attached
  const mayRestrict = setup.host.mountSetattr;
  const bind: BindOptions = {
    recursive: options.recursive,
    set: mayRestrict ? options.set : 0,
    recursiveAttributes: options.recursiveAttributes,
    propagation: mayRestrict ? options.propagation : undefined,
    recursivePropagation: options.recursivePropagation,
  };
  if (setup.shmNamespace !== undefined && source === SHM) {
    return inMountNamespaceSteps(setup.shmNamespace, bindSteps(id, source, undefined, bind));
  }
  return options.subpath === undefined
    ? bindSteps(id, source, undefined, bind)
    : bindBeneathSteps(id, source, options.subpath, bind);
}

const SHM = "/dev/shm";

/**
 * Steps in another container's mount namespace, and back: mounts can be copied in the namespace alone that they are in. What is
 * copied there is in none, and may be attached anywhere. The process is root's in the user namespace of both by then.
 */
function inMountNamespaceSteps(path: string, steps: readonly Step[]): Step[] {
  const enter = (id: string, object: string) =>
    step("setns", [{ result: id }, CLONE_NEWNS], "enter", object, {
      hints: { EPERM: "it belongs to another user namespace" },
    });
  const own = "/proc/self/ns/mnt";
  return [
    step("openat", [AT_FDCWD, own, O_RDONLY | O_CLOEXEC, 0], "open own mount namespace", own, { id: "own mounts" }),
    step("openat", [AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0], "open mount namespace", path, { id: "other mounts" }),
    enter("other mounts", path),
    ...steps,
    enter("own mounts", own),
    step("close", [{ result: "other mounts" }], "close mount namespace", path),
    step("close", [{ result: "own mounts" }], "close own mount namespace", own),
  ];
}
