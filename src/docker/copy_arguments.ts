/**
 * The arguments of `cp`: which of them is in a container. Docker's rules: a path that begins with `/` or `.` is of this
 * machine, `-` is a stream, `NAME:PATH` is in a container, and what has no colon is of this machine again.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";

/** One argument of `cp`. */
export type CopyArgument =
  | { readonly kind: "container"; readonly name: string; readonly path: string }
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "stream" };

/** Which way it goes; paths absolute, with the slash or `/.` at their end that they had. */
export type CopyRequest =
  | {
    readonly way: "out";
    readonly name: string;
    readonly path: string;
    readonly to: Exclude<CopyArgument, { kind: "container" }>;
  }
  | {
    readonly way: "in";
    readonly name: string;
    readonly path: string;
    readonly from: Exclude<CopyArgument, { kind: "container" }>;
  };

/**
 * Reads both arguments.
 * @param directory The current one.
 * @throws {DugoutError} USAGE, with docker's words.
 */
export function parseCopy(source: string, destination: string, directory: string): CopyRequest {
  if (source === "") throw wrong("source can not be empty");
  if (destination === "") throw wrong("destination can not be empty");
  const from = parseArgument(source, directory);
  const to = parseArgument(destination, directory);
  if (from.kind === "container" && to.kind === "container") {
    throw wrong(
      "copying between containers is not supported",
      "copy to this machine first, or pipe: cp A:PATH - | cp - B:PATH",
    );
  }
  if (from.kind === "container") {
    return { way: "out", name: from.name, path: from.path, to: to as Exclude<CopyArgument, { kind: "container" }> };
  }
  if (to.kind === "container") return { way: "in", name: to.name, path: to.path, from };
  throw wrong("must specify at least one container source", "write CONTAINER:PATH for what is in a container");
}

function parseArgument(text: string, directory: string): CopyArgument {
  if (text === "-") return { kind: "stream" };
  const colon = text.indexOf(":");
  if (text.startsWith("/") || colon < 0 || text.startsWith(".")) {
    return { kind: "path", path: cleanCopyPath(text.startsWith("/") ? text : `${directory}/${text}`) };
  }
  const path = text.slice(colon + 1);
  return { kind: "container", name: text.slice(0, colon), path: cleanCopyPath(`/${path}`) };
}

/** Without empty parts, `.` and `..`; what a path says by its end stays: `/` of a directory, `/.` its content. */
export function cleanCopyPath(path: string): string {
  const parts: string[] = [];
  const asked = path.split("/");
  for (const part of asked) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const clean = `/${parts.join("/")}`;
  if (parts.length === 0) return clean;
  const last = asked.at(-1);
  return last === "." ? `${clean}/.` : last === "" ? `${clean}/` : clean;
}

function wrong(message: string, hint = "see 'dugout cp --help'"): DugoutError {
  return new DugoutError("USAGE", message, { exitCode: 1, hint });
}
