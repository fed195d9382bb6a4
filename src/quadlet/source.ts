import { DugoutError } from "#oci/error.ts";
import type { UnitFile } from "./unit_file.ts";

/** The kinds of files; the ending of a name says which one it is. */
export const KINDS = ["container", "volume", "image", "network", "pod", "kube", "build", "artifact"] as const;
export type Kind = (typeof KINDS)[number];

/** One file of a user's, with its drop-ins merged in. */
export interface Source {
  /** `web.container`, `web@.container`, `web@1.container`. */
  readonly file: string;
  readonly kind: Kind;
  /** Absolute; relative paths in it are meant from its directory. */
  readonly path: string;
  readonly unit: UnitFile;
}

/** A service that was made of a source. */
export interface Service {
  /** `web.service`. */
  readonly name: string;
  readonly unit: UnitFile;
  /** Links by which `[Install]` wants it started: path below the generator's directory → what it leads to. */
  readonly links: ReadonlyMap<string, string>;
}

/** What other files may refer to by a file's name. */
export interface Resource {
  readonly kind: Kind;
  /** `data-volume.service`. */
  readonly service: string;
  /** The name of the container, volume, image or network that the service makes: words of systemd's, with specifiers. */
  readonly name: string;
}

/** What conversion needs to know beside the file. */
export interface QuadletContext {
  /** How this program is started: an absolute path, then arguments. */
  readonly program: readonly string[];
  /** By file name. */
  readonly resources: ReadonlyMap<string, Resource>;
}

/** The kind of a file by its name; undefined for files that are none of ours. */
export function kindOf(file: string): Kind | undefined {
  const ending = file.slice(file.lastIndexOf(".") + 1);
  return file.lastIndexOf(".") > 0 ? KINDS.find((kind) => kind === ending) : undefined;
}

/** A unit's name without its ending: `web`, `web@`, `web@1`. */
export function stemOf(file: string): string {
  return file.slice(0, file.lastIndexOf("."));
}

/** `web` of `web@1`; undefined where it is no template's. */
export function templateOf(stem: string): { prefix: string; instance: string } | undefined {
  const at = stem.indexOf("@");
  return at <= 0 ? undefined : { prefix: stem.slice(0, at), instance: stem.slice(at + 1) };
}

/** Whether systemd takes a unit name: its letters, and no longer than 255 (unit_name_is_valid, systemd.unit(5)). */
export function isUnitName(name: string): boolean {
  return name.length <= 255 && /^[A-Za-z0-9:_.\\@-]+$/.test(name) && !name.startsWith(".");
}

/** What a file became: a service, or why there is none. */
export type Converted =
  | { readonly source: Source; readonly service: Service }
  | { readonly source: Source; readonly error: DugoutError };
