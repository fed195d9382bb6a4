/**
 * What a script asks for, and how it becomes a request: by the same grammar and checks as the flags of `dugout run`.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { readRun, type RunRead } from "#docker/read_run.ts";
import type { EngineOptions } from "../engine.ts";
import type { ProgramOptions } from "./program.ts";

/** Where the engine keeps its things, and what it tells: the command line's global options. */
export interface EnginePlaces {
  /** The data directory: `--root`. */
  readonly root?: string;
  /** The runtime directory: `--run`. */
  readonly runRoot?: string;
  /** `overlay`, `fuse-overlayfs` or `vfs`; else the best that works. */
  readonly storageDriver?: string;
  /** The directory of Docker's client configuration: `--config`. */
  readonly config?: string;
  /** Gets warnings, a line each. Without it nobody does. */
  readonly onWarning?: (message: string) => void;
}

/** What to run, and how. Of all these only the image (or `rootfs`) is needed. */
export interface ContainerOptions extends EnginePlaces, ProgramOptions {
  /** An image by name or id; it is pulled when it is not there. */
  readonly image?: string;
  /** A directory to run on instead of an image; `/:O` is this machine's own userland, with what is written thrown away. */
  readonly rootfs?: string;
  /** The program and its arguments. Without it, the image's. */
  readonly command?: readonly string[];
  /** In place of the image's entrypoint; `[]` for none. */
  readonly entrypoint?: readonly string[];
  /** Added to the image's; `undefined` values are left out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly workingDir?: string;
  /** `USER[:GROUP]`, by name or number. */
  readonly user?: string;
  readonly name?: string;
  readonly hostname?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `host`, `none`, `container:NAME`. */
  readonly network?: string;
  /** As of `-v`: `./src:/src:ro`, `name:/data`. */
  readonly volumes?: readonly string[];
  /** As of `--tmpfs`: `/run:size=1m`. */
  readonly tmpfs?: readonly string[];
  readonly readOnly?: boolean;
  /** An init that reaps and passes signals on, as process 1. */
  readonly init?: boolean;
  readonly privileged?: boolean;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  /** `os/architecture`. */
  readonly platform?: string;
  /** Whether to ask the registry. `missing`, unless it is said otherwise. */
  readonly pull?: "always" | "missing" | "never";
  /** Remove the container when it has ended. True, unless it is said otherwise; of {@linkcode start}: false. */
  readonly rm?: boolean;
  /** Any other flag of `dugout run`, by its long name without dashes: `{ "cap-add": ["NET_RAW"], "shm-size": "1g" }`. */
  readonly flags?: Readonly<Record<string, boolean | string | readonly string[]>>;
}

/** The engine's options of a script's. */
export function readPlaces(places: EnginePlaces): EngineOptions {
  return {
    root: places.root,
    run: places.runRoot,
    storageDriver: places.storageDriver,
    config: places.config,
    ...(places.onWarning === undefined ? {} : { warn: places.onWarning }),
  };
}

/** Flags that say where the streams are and what becomes of them; that is for the other options to say. */
const STREAM_FLAGS = ["interactive", "tty", "attach", "detach", "detach-keys", "sig-proxy"] as const;

/**
 * Reads a script's options.
 * @param rm Whether the container goes when it has ended, unless the options say it.
 * @throws {DugoutError} OPTION_INVALID; and what flags can be wrong about, such as FLAG_INVALID, FLAG_REFUSED, FLAG_CONFLICT.
 */
export function readContainerOptions(options: ContainerOptions, rm = true): RunRead {
  const { image, rootfs, command = [] } = options;
  if ((image === undefined) === (rootfs === undefined)) {
    throw new DugoutError("OPTION_INVALID", "Cannot run: give either an image or a rootfs");
  }
  const flags = new Map<string, boolean | string | readonly string[]>();
  for (const [name, value] of Object.entries(options.flags ?? {})) {
    if (STREAM_FLAGS.some((flag) => flag === name)) {
      throw new DugoutError("OPTION_INVALID", `Cannot use the flag "${name}" in a script`, {
        hint: "say with stdin, stdout and stderr where its streams are; a terminal is for the command line",
      });
    }
    flags.set(name, value);
  }
  const set = (flag: string, value: boolean | string | readonly string[] | undefined) => {
    if (value === undefined) return;
    const before = flags.get(flag);
    flags.set(flag, typeof before === "object" && typeof value === "object" ? [...before, ...value] : value);
  };
  set("rootfs", rootfs);
  set("env", variables(options.env));
  set("workdir", options.workingDir);
  set("user", options.user);
  set("name", options.name);
  set("hostname", options.hostname);
  set("label", Object.entries(options.labels ?? {}).map(([name, value]) => `${name}=${value}`));
  set("network", options.network === undefined ? undefined : [options.network]);
  set("volume", options.volumes);
  set("tmpfs", options.tmpfs);
  set("read-only", options.readOnly);
  set("init", options.init);
  set("privileged", options.privileged);
  set("cap-add", options.capAdd);
  set("cap-drop", options.capDrop);
  set("platform", options.platform);
  set("pull", options.pull);
  set("rm", options.rm ?? rm);

  const read = readRun(flags, image === undefined ? command : [image, ...command], {
    makeAbsolute: (path) => resolve(path),
    lookUp: (name) => process.env[name],
    environment: () =>
      Object.entries(process.env).flatMap(([name, value]) => value === undefined ? [] : [[name, value]]),
    readFile: readFileSync,
  });
  // a flag holds one word only
  if (options.entrypoint !== undefined) read.request.entrypoint = [...options.entrypoint];
  return {
    request: read.request,
    options: {
      ...read.options,
      interactive: options.stdin !== undefined || options.input !== undefined,
      sigProxy: false,
    },
  };
}

/** Variables in the words of `--env`. @throws {DugoutError} OPTION_INVALID. */
export function variables(env: ContainerOptions["env"]): string[] {
  return Object.entries(env ?? {}).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (name === "" || name.includes("=")) {
      throw new DugoutError("OPTION_INVALID", `Cannot use ${JSON.stringify(name)} as the name of a variable`);
    }
    return [`${name}=${value}`];
  });
}
