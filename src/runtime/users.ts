/**
 * Who the first process is: `--user`, or the image's User, against the image's own passwd(5) and group(5).
 *
 * Pure: the two files come in as bytes, or not at all (C-020). They are the image author's text and believed no further
 * than that: a number is a number and never looked up as a name, lines that make no sense are no accounts, and
 * nothing is read beyond a stated size.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** Larger passwd and group files are refused: the reader need not read on. */
export const MAX_ACCOUNT_FILE_BYTES: number = 4 * 1024 * 1024;

/** The last id there is: 2^32 − 1 means "none" (setresuid(2)). */
const MAX_ID = 4294967294;

/** What decides it. */
export interface UserRequest {
  /** `USER[:GROUP]`, names or numbers, from `--user` or else the image; `""` or `undefined` is root. */
  user: string | undefined;
  /** `--group-add`, names or numbers. `keep-groups` is accepted: the caller's own groups are kept anyway (C-062). */
  groupAdd: readonly string[];
  /** The image's /etc/passwd; `undefined` when it has none. */
  passwd: Uint8Array | undefined;
  /** The image's /etc/group; `undefined` when it has none. */
  group: Uint8Array | undefined;
}

/** What it became. Ids as the container sees them; whether the id map holds them is not looked at here. */
export interface ResolvedUser {
  uid: number;
  gid: number;
  /**
   * The supplementary groups: the primary one first (CVE-2022-36109), then those that the image's group file gives the
   * user, then `--group-add`; each once.
   */
  additionalGids: number[];
  /** For HOME: of the image's passwd; else `/root` for uid 0 and `/` for others. */
  home: string;
  /** The account's name, where the image's passwd has one. */
  name: string | undefined;
}

interface Account {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

interface Group {
  name: string;
  gid: number;
  members: string[];
}

/**
 * Resolves the user and groups of a container's first process.
 * @throws {DugoutError} USER_INVALID for what can be no user, USER_NOT_FOUND and GROUP_NOT_FOUND for names that the
 *   image does not have, ACCOUNTS_TOO_LARGE.
 */
export function resolveUser(request: UserRequest): ResolvedUser {
  const [userText, groupText] = splitUser(request.user ?? "");
  const wantedUser = userText === "" ? { id: 0 } : parseIdentity(userText, "user");
  const wantedGroup = groupText === "" ? undefined : parseIdentity(groupText, "group");
  const wantedExtra = request.groupAdd.filter((text) => text !== "keep-groups")
    .map((text) => parseIdentity(text, "group"));

  const account = findAccount(readLines(request.passwd, "/etc/passwd"), wantedUser);
  const uid = wantedUser.id ?? account?.uid;
  if (uid === undefined) throw notFound("user", userText, "/etc/passwd", request.passwd !== undefined);

  const needsGroups = account !== undefined && wantedGroup === undefined || wantedGroup?.name !== undefined ||
    wantedExtra.some(({ name }) => name !== undefined);
  const groups = needsGroups ? parseGroups(readLines(request.group, "/etc/group")) : [];
  const gidOf = (wanted: Identity): number => {
    const gid = wanted.id ?? groups.find(({ name }) => name === wanted.name)?.gid;
    if (gid === undefined) throw notFound("group", wanted.name ?? "", "/etc/group", request.group !== undefined);
    return gid;
  };

  // a group that is asked for replaces those of the user, as in Docker
  const gid = wantedGroup === undefined ? account?.gid ?? 0 : gidOf(wantedGroup);
  const ofUser = account === undefined || wantedGroup !== undefined
    ? []
    : groups.filter(({ members }) => members.includes(account.name)).map((group) => group.gid);
  return {
    uid,
    gid,
    additionalGids: [...new Set([gid, ...ofUser, ...wantedExtra.map(gidOf)])],
    home: account !== undefined && account.home.startsWith("/") ? account.home : uid === 0 ? "/root" : "/",
    name: account?.name,
  };
}

/** A user or group as it was asked for: a number or a name. */
type Identity = { id: number; name?: never } | { id?: never; name: string };

/** `USER`, `USER:GROUP`, `:GROUP`, `USER:`; a part that is not there is empty. */
function splitUser(text: string): [user: string, group: string] {
  const colon = text.indexOf(":");
  return colon === -1 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
}

/**
 * Reads one spelling: decimal digits alone are a number from 0 to 2^32 − 2; what looks like a number in another
 * way is refused, since another reader would take it for one; anything else is a name.
 */
function parseIdentity(text: string, kind: "user" | "group"): Identity {
  const refuse = (why: string): DugoutError =>
    new DugoutError("USER_INVALID", `Cannot use ${quote(text)} as a ${kind}: ${why}`);
  if (text === "") throw refuse("it is empty");
  if (text.length > 256) throw refuse("it has more than 256 characters");
  if (/^[0-9]+$/.test(text)) {
    const id = parseId(text);
    if (id === undefined) throw refuse(`a number must be from 0 to ${MAX_ID}`);
    return { id };
  }
  if (/[\s:,/\x00-\x1f\x7f-\x9f]/.test(text)) throw refuse("names have no blanks, colons, commas, slashes or controls");
  if (/^[+-]/.test(text) || /^\p{Nd}+$/u.test(text) || Number.isFinite(Number(text))) {
    throw refuse("write a number in plain decimal digits");
  }
  return { name: text };
}

/** An id in decimal digits. @returns `undefined` when it is none, or beyond the last one. */
function parseId(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined;
  const digits = text.replace(/^0+/, "");
  if (digits.length > 10) return undefined;
  const id = Number(digits);
  return id <= MAX_ID ? id : undefined;
}

function notFound(kind: "user" | "group", name: string, file: string, exists: boolean): DugoutError {
  const code = kind === "user" ? "USER_NOT_FOUND" : "GROUP_NOT_FOUND";
  const why = exists ? `the image's ${file} does not have it` : `the image has no ${file}`;
  return new DugoutError(code, `Cannot find ${kind} ${quote(name)}: ${why}`, {
    hint: "A number needs no entry there: for example --user 1000:1000",
  });
}

/** A file's lines, without comments and without lines that hold a NUL. */
function readLines(bytes: Uint8Array | undefined, file: string): string[] {
  if (bytes === undefined) return [];
  if (bytes.length > MAX_ACCOUNT_FILE_BYTES) {
    throw new DugoutError(
      "ACCOUNTS_TOO_LARGE",
      `Cannot read the image's ${file}: it has ${bytes.length} bytes, more than ${MAX_ACCOUNT_FILE_BYTES}`,
    );
  }
  return new TextDecoder().decode(bytes).split("\n").filter((line) =>
    line !== "" && !line.startsWith("#") && !line.includes("\0")
  );
}

/** The first account that is meant: of that number, or of that name. */
function findAccount(lines: readonly string[], wanted: Identity): Account | undefined {
  for (const line of lines) {
    const [name = "", , uidText = "", gidText = "", , home = ""] = line.split(":", 7);
    const uid = parseId(uidText);
    const gid = parseId(gidText);
    if (name === "" || uid === undefined || gid === undefined) continue;
    if (wanted.id === undefined ? name === wanted.name : uid === wanted.id) return { name, uid, gid, home };
  }
  return undefined;
}

function parseGroups(lines: readonly string[]): Group[] {
  const groups: Group[] = [];
  for (const line of lines) {
    const [name = "", , gidText = "", members = ""] = line.split(":", 4);
    const gid = parseId(gidText);
    if (name === "" || gid === undefined) continue;
    groups.push({ name, gid, members: members.trimEnd().split(",") });
  }
  return groups;
}
