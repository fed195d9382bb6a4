/**
 * HTTP/1.1 as bytes (RFC 9110, RFC 9112), as far as a client needs it; pure. Why not `fetch` or node:http: Bun's fetch opens `file://` and
 * decodes Content-Encoding without limit, node:http is built on it there; here both runtimes behave alike, limits are ours, and a proxied TLS
 * connection is an ordinary one. It is also the quickest of the three (figures: README).
 */

/** Header fields by lower-case name; a field that came several times has several values, in order. */
export type HeaderFields = Map<string, string[]>;

export interface ResponseHead {
  minorVersion: 0 | 1;
  status: number;
  reason: string;
  headers: HeaderFields;
}

/** How the end of a body is known (RFC 9112 §6.3). */
export type BodyFraming =
  | { kind: "none" }
  | { kind: "length"; length: number }
  | { kind: "chunked" }
  | { kind: "close" };

export const HEAD_BYTES_MAX = 64 * 1024;
const FIELDS_MAX = 200;

/** The answer is no HTTP that we take; the connection cannot be used any more. */
export class HttpSyntaxError extends Error {
  override readonly name = "HttpSyntaxError";
  readonly code = "RESPONSE_INVALID";
}

/** Characters of a field name (RFC 9110 §5.6.2, token). */
function isToken(text: string): boolean {
  if (text === "") return false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const isWord = (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
    if (!isWord && !"!#$%&'*+-.^_`|~".includes(text[at] ?? "")) return false;
  }
  return true;
}

/**
 * Finds the empty line that ends a head.
 * @returns The offset behind it, or -1 when it is not there yet.
 */
export function findHeadEnd(bytes: Uint8Array, from = 0): number {
  for (let at = bytes.indexOf(0x0a, from); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
    if (bytes[at + 1] === 0x0a) return at + 2;
    if (bytes[at + 1] === 0x0d && bytes[at + 2] === 0x0a) return at + 3;
  }
  return -1;
}

/**
 * Parses status line and fields.
 * @param head All bytes up to the empty line.
 */
export function parseResponseHead(head: Uint8Array): ResponseHead {
  const lines = new TextDecoder("latin1").decode(head).split("\n").map((line) =>
    line.endsWith("\r") ? line.slice(0, -1) : line
  );
  const status = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: (.*))?$/.exec(lines[0] ?? "");
  if (status === null) throw new HttpSyntaxError("the answer does not begin with an HTTP/1 status line");
  const headers: HeaderFields = new Map();
  let count = 0;
  for (const line of lines.slice(1)) {
    if (line === "") continue;
    if (++count > FIELDS_MAX) throw new HttpSyntaxError(`the answer has more than ${FIELDS_MAX} header fields`);
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    // this refuses folded lines too (RFC 9112 §5.2), which begin with a space
    if (!isToken(name)) throw new HttpSyntaxError("a header field of the answer has no valid name");
    const value = line.slice(colon + 1).trim();
    for (let at = 0; at < value.length; at++) {
      const code = value.charCodeAt(at);
      if ((code < 0x20 && code !== 0x09) || code === 0x7f) {
        throw new HttpSyntaxError(`the header field "${name}" has a control character`);
      }
    }
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [value]);
    else values.push(value);
  }
  return { minorVersion: status[1] === "0" ? 0 : 1, status: Number(status[2]), reason: status[3] ?? "", headers };
}

/** The first value of a field. */
export function headerValue(headers: HeaderFields, name: string): string | undefined {
  return headers.get(name)?.[0];
}

/** Whether a comma-separated field names a word, in any case of letters. */
export function headerHasWord(headers: HeaderFields, name: string, word: string): boolean {
  return (headers.get(name) ?? []).some((value) => value.split(",").some((part) => part.trim().toLowerCase() === word));
}

/** Reads a whole number of a header, or throws; signs, spaces and exponents are not numbers here. */
export function parseDecimal(text: string, what: string): number {
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new HttpSyntaxError(`${what} is not a number`);
  }
  return Number(text);
}

/** Says how the body ends (RFC 9112 §6.3). Two lengths that differ are refused. */
export function planBody(method: string, head: ResponseHead): BodyFraming {
  if (method === "HEAD" || head.status < 200 || head.status === 204 || head.status === 304) return { kind: "none" };
  const encodings = head.headers.get("transfer-encoding");
  if (encodings !== undefined) {
    if (encodings.join(",").trim().toLowerCase() !== "chunked") {
      throw new HttpSyntaxError("the answer has an unknown Transfer-Encoding");
    }
    return { kind: "chunked" };
  }
  const lengths = new Set(
    (head.headers.get("content-length") ?? []).flatMap((value) => value.split(",")).map((value) => value.trim()),
  );
  if (lengths.size > 1) throw new HttpSyntaxError("the answer has two lengths");
  for (const length of lengths) return { kind: "length", length: parseDecimal(length, "Content-Length") };
  return { kind: "close" };
}

/** Whether the connection can carry another request when the body has been read (RFC 9112 §9.3). */
export function isReusable(head: ResponseHead, framing: BodyFraming): boolean {
  if (framing.kind === "close" || headerHasWord(head.headers, "connection", "close")) return false;
  // both at once is how answers are smuggled: the body is read as chunked, and nothing behind it is believed
  if (framing.kind === "chunked" && head.headers.has("content-length")) return false;
  return head.minorVersion === 1 || headerHasWord(head.headers, "connection", "keep-alive");
}

/** The size line of a chunk (RFC 9112 §7.1), its extensions ignored. */
export function parseChunkSize(line: string): number {
  const match = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;.*)?$/.exec(line);
  if (match === null) throw new HttpSyntaxError("a chunk of the answer has no valid size");
  return parseInt(match[1] ?? "", 16);
}

/**
 * The bytes of a request's head. Values come from us or passed their own parsers; a control character is a bug or an attack, and refused.
 * @param target Origin form, absolute form (to a proxy) or authority form (CONNECT).
 */
export function encodeRequestHead(
  method: string,
  target: string,
  headers: Iterable<readonly [string, string]>,
): Uint8Array {
  const lines = [`${method} ${target} HTTP/1.1`];
  if (!/^[!-~]+$/.test(target)) {
    throw new HttpSyntaxError("the address of the request has characters that HTTP does not allow");
  }
  for (const [name, value] of headers) {
    if (!isToken(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new HttpSyntaxError(`the header field "${name}" has characters that HTTP does not allow`);
    }
    lines.push(`${name}: ${value}`);
  }
  return Uint8Array.from(lines.join("\r\n") + "\r\n\r\n", (character) => character.charCodeAt(0));
}
