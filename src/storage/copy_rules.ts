/**
 * Where `cp` puts what it copies: the rules of Docker's CLI reference, as one function.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { type ByteString, quote } from "#tar/bytes.ts";

/** What is copied. */
export interface CopySource {
  readonly isDirectory: boolean;
  /** What it is called where it is put into a directory. */
  readonly base: ByteString;
  /** `SRC/.`: what is in the directory, and not the directory. */
  readonly isContent: boolean;
}

/** What is there at the destination, links followed. */
export type CopyDestination = { readonly kind: "directory" } | { readonly kind: "file" } | {
  readonly kind: "missing";
  /** Whether the path ends as that of a directory, with `/` or `/.`. */
  readonly isAsserted: boolean;
};

/**
 * In which directory the copy is made, and as what. `inside`: in the destination; `beside`: in the directory of the
 * destination, under the destination's own name. The name `.` stands for the directory itself.
 */
export type CopyPlan =
  | { readonly where: "inside"; readonly name: ByteString }
  | { readonly where: "beside" };

/**
 * Decides where a copy goes.
 * @param shown The destination, for messages.
 * @throws {DugoutError} COPY_IMPOSSIBLE: a directory onto a file; a file to a directory that is not there.
 */
export function planCopy(source: CopySource, destination: CopyDestination, shown: string): CopyPlan {
  switch (destination.kind) {
    case "directory":
      return { where: "inside", name: source.isContent ? "." as ByteString : source.base };
    case "file":
      if (!source.isDirectory) return { where: "beside" };
      throw new DugoutError("COPY_IMPOSSIBLE", `Cannot copy a directory to ${shown}: there is a file`, { exitCode: 1 });
    case "missing":
      if (source.isDirectory || !destination.isAsserted) return { where: "beside" };
      throw new DugoutError("COPY_IMPOSSIBLE", `Cannot copy to ${shown}: no such directory`, {
        exitCode: 1,
        hint: "make it first, or leave out the slash at the end",
      });
    default:
      throw new Error(`Unknown destination ${destination satisfies never}`);
  }
}

/** A path taken apart as `cp` reads it. */
export interface CopyPath {
  /** The last part; `.` for the content of a directory, and for the root. */
  readonly base: ByteString;
  /** All before it. */
  readonly parent: ByteString;
  readonly isContent: boolean;
  /** Whether it ends as the path of a directory. */
  readonly isAsserted: boolean;
}

/** Takes an absolute path apart. Parts `..` are left to the kernel, which knows where links lead. */
export function splitCopyPath(path: ByteString): CopyPath {
  const parts = path.split("/").filter((part) => part !== "");
  const isContent = parts.at(-1) === "." || parts.length === 0;
  const isAsserted = isContent || path.endsWith("/") || parts.at(-1) === "..";
  const named = parts.filter((part) => part !== ".");
  const base = named.at(-1);
  const parent = `/${named.slice(0, -1).join("/")}` as ByteString;
  if (base === undefined || base === "..") {
    return { base: "." as ByteString, parent: `/${named.join("/")}` as ByteString, isContent: true, isAsserted };
  }
  return { base: base as ByteString, parent, isContent, isAsserted };
}

/** A path for a message, as docker writes it: the container's name in front. */
export function showPath(place: string | undefined, path: ByteString): string {
  return place === undefined ? quote(path) : quote(`${place}:${path}` as ByteString);
}
