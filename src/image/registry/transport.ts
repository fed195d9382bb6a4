import type { Socket } from "node:net";
import { DugoutError } from "#oci/error.ts";
import { RegistryError } from "./error.ts";
import {
  type BodyFraming,
  encodeRequestHead,
  findHeadEnd,
  HEAD_BYTES_MAX,
  type HeaderFields,
  headerValue,
  HttpSyntaxError,
  isReusable,
  parseChunkSize,
  parseResponseHead,
  planBody,
  type ResponseHead,
} from "./http1.ts";
import { connectionError, openSocket, type TlsFiles } from "./open_socket.ts";
import { findProxy } from "./proxy.ts";
import type { Environment } from "./proxy.ts";
import { DEFAULT_TRICKLE, SocketReader, type TricklePolicy } from "./socket_reader.ts";
import { sendBody, type StreamedBody } from "./stream_body.ts";
import { bareHostname, portOf, showUrl } from "./url_gate.ts";

/** A request as it goes out; the URL has passed the gate. */
export interface HttpRequest {
  method: string;
  url: URL;
  headers?: Iterable<readonly [string, string]>;
  body?: Uint8Array | StreamedBody;
  /** Whether the certificate must be valid; false only for a host that the configuration or a flag names. True when absent. */
  verifyTls?: boolean;
  signal?: AbortSignal | undefined;
}

/** An answer. The body is read once, or dropped by `discard`; until then its connection is taken. */
export interface HttpResponse {
  status: number;
  reason: string;
  headers: HeaderFields;
  url: URL;
  body: AsyncGenerator<Uint8Array, void, undefined>;
}

/** What a transport needs to know of the machine. */
export interface TransportOptions {
  env: Environment;
  /** The authorities and the client's certificate for a TLS connection to the host of this URL. */
  tlsFiles: (url: URL) => TlsFiles | Promise<TlsFiles>;
  /** Gives another address for a host name; names are looked up by the system without it. */
  resolveHost?: (hostname: string) => string;
  now?: () => number;
  trickle?: TricklePolicy;
  connectTimeoutMs?: number;
}

/** Idle connections to one origin that are kept for the next request. */
const IDLE_MAX = 8;
/** Servers close idle connections after a minute or so; ours go first, which avoids the race. */
const IDLE_MS = 20_000;
/** Bytes of an unwanted body that are read so that the connection can be kept; more, and it is closed. */
const DISCARD_BYTES_MAX = 64 * 1024;

/** What may be sent twice without harm, as far as we send it (RFC 9110 §9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT"]);

/** Windows of the trickle policy that a server has until its answer begins. */
const HEAD_WINDOWS = 3;
/** The same after an upload: the registry may have to copy and hash gigabytes first. */
const UPLOAD_WINDOWS = 15;

interface Connection {
  socket: Socket;
  reader: SocketReader;
  idleSince: number;
}

/**
 * Sends requests over kept connections. Not a policy: it neither follows redirects nor repeats nor authorizes; it only repeats a request at
 * once when a kept connection turns out to be closed before a byte of the answer came.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #idle = new Map<string, Connection[]>();
  readonly #open = new Set<Socket>();
  #isClosed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** Closes every connection; requests that are under way fail. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#open) socket.destroy();
    this.#idle.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * @throws {RegistryError} As `openSocket`, and CONNECTION_FAILED, TIMED_OUT, RESPONSE_INVALID, ABORTED.
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const { url, method, signal } = request;
    const action = `Cannot ${method} ${showUrl(url)}`;
    for (;;) {
      const kept = this.#takeIdle(poolKey(request));
      let connection = kept;
      try {
        connection ??= await this.#connect(request);
        return await this.#exchange(connection, request);
      } catch (error) {
        connection?.socket.destroy();
        const isStale = kept !== undefined && !kept.reader.hasReceived && !(error instanceof HttpSyntaxError);
        if (signal?.aborted) throw abortedError(action);
        if (isStale && IDEMPOTENT.has(method)) continue;
        throw describe(action, error);
      }
    }
  }

  #takeIdle(key: string): Connection | undefined {
    const connections = this.#idle.get(key) ?? [];
    for (let kept = connections.pop(); kept !== undefined; kept = connections.pop()) {
      if (kept.reader.isStale || performance.now() - kept.idleSince > IDLE_MS) {
        kept.socket.destroy();
        continue;
      }
      kept.reader.hasReceived = false;
      kept.socket.ref();
      return kept;
    }
    return undefined;
  }

  async #connect({ url, verifyTls, signal }: HttpRequest): Promise<Connection> {
    const socket = await openSocket({
      url,
      address: this.#options.resolveHost?.(bareHostname(url)) ?? bareHostname(url),
      tls: url.protocol === "https:" ? await this.#options.tlsFiles(url) : {},
      verifyTls: verifyTls ?? true,
      proxy: findProxy(url, this.#options.env),
      connectTimeoutMs: this.#options.connectTimeoutMs ?? 30_000,
      now: this.#options.now ?? Date.now,
    }, signal);
    if (this.#isClosed) socket.destroy();
    this.#open.add(socket);
    socket.on("close", () => this.#open.delete(socket));
    return { socket, reader: new SocketReader(socket, this.#options.trickle ?? DEFAULT_TRICKLE), idleSince: 0 };
  }

  #release(key: string, connection: Connection): void {
    const connections = this.#idle.get(key) ?? [];
    if (this.#isClosed || connection.reader.isStale || connections.length >= IDLE_MAX) {
      connection.socket.destroy();
      return;
    }
    connection.idleSince = performance.now();
    // an idle connection must not keep the process alive
    connection.socket.unref();
    connections.push(connection);
    this.#idle.set(key, connections);
  }

  async #exchange(connection: Connection, request: HttpRequest): Promise<HttpResponse> {
    const { socket, reader } = connection;
    const { url, method, signal } = request;
    const abort = () => socket.destroy(new Error("aborted"));
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const isUpload = method === "PUT" || method === "PATCH";
      socket.write(this.#encode(request));
      const isSent = !isStreamed(request.body) || await sendBody(socket, reader, request.body, this.#windowMs());
      reader.beginWindow(isUpload ? UPLOAD_WINDOWS : HEAD_WINDOWS);
      const head = await readHead(reader);
      reader.beginWindow();
      const framing = planBody(method, head);
      const body = this.#readBody(connection, request, head, framing, isSent, abort);
      return { status: head.status, reason: head.reason, headers: head.headers, url, body };
    } catch (error) {
      signal?.removeEventListener("abort", abort);
      throw error;
    }
  }

  #encode(request: HttpRequest): Uint8Array {
    const { url, method, body } = request;
    const proxy = url.protocol === "http:" ? findProxy(url, this.#options.env) : undefined;
    const headers: [string, string][] = [["Host", url.host]];
    if (proxy?.authorization !== undefined) headers.push(["Proxy-Authorization", proxy.authorization]);
    // content is hashed as it comes, so no coding of the transfer's own is wanted
    headers.push(["Accept-Encoding", "identity"]);
    for (const [name, value] of request.headers ?? []) headers.push([name, value]);
    if (body !== undefined || method === "POST" || method === "PUT" || method === "PATCH") {
      headers.push(["Content-Length", String(body?.length ?? 0)]);
    }
    const target = proxy === undefined ? url.pathname + url.search : `http://${url.host}${url.pathname}${url.search}`;
    const head = encodeRequestHead(method, target, headers);
    return body === undefined || isStreamed(body) ? head : Buffer.concat([head, body]);
  }

  #windowMs(): number {
    return (this.#options.trickle ?? DEFAULT_TRICKLE).windowMs;
  }

  async *#readBody(
    connection: Connection,
    request: HttpRequest,
    head: ResponseHead,
    framing: BodyFraming,
    isSent: boolean,
    abort: () => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let isComplete = false;
    try {
      yield* decodeBody(connection.reader, framing);
      isComplete = true;
    } catch (error) {
      const action = `Cannot read the answer to ${request.method} ${showUrl(request.url)}`;
      throw request.signal?.aborted ? abortedError(action) : describe(action, error);
    } finally {
      request.signal?.removeEventListener("abort", abort);
      if (isComplete && isSent && isReusable(head, framing)) this.#release(poolKey(request), connection);
      else connection.socket.destroy();
    }
  }
}

function isStreamed(body: HttpRequest["body"]): body is StreamedBody {
  return body !== undefined && !(body instanceof Uint8Array);
}

/** Connections are shared by origin; one whose certificate was not checked is never used where it has to be. */
function poolKey({ url, verifyTls }: HttpRequest): string {
  return `${url.protocol}//${url.hostname}:${portOf(url)} ${verifyTls ?? true}`;
}

function abortedError(action: string): RegistryError {
  return new RegistryError("ABORTED", `${action}: it was interrupted`);
}

function describe(action: string, error: unknown): DugoutError {
  // what the source of a body says is no fault of the network
  if (error instanceof DugoutError) return error;
  if (error instanceof HttpSyntaxError) {
    return new RegistryError("RESPONSE_INVALID", `${action}: ${error.message}`, { cause: error });
  }
  return connectionError(action, error);
}

/** The head of the answer; informational ones (100, 103) are skipped. */
async function readHead(reader: SocketReader): Promise<ResponseHead> {
  let bytes: Uint8Array = new Uint8Array(0);
  for (let informational = 0; informational < 10;) {
    const end = findHeadEnd(bytes);
    if (end < 0) {
      if (bytes.length > HEAD_BYTES_MAX) {
        throw new HttpSyntaxError(`the header fields have more than ${HEAD_BYTES_MAX} bytes`);
      }
      const chunk = await reader.read();
      if (chunk === undefined) throw Object.assign(new Error("closed"), { code: "ECONNRESET" });
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      continue;
    }
    const head = parseResponseHead(bytes.subarray(0, end));
    bytes = bytes.subarray(end);
    if (head.status >= 200) {
      reader.unread(bytes);
      return head;
    }
    informational++;
  }
  throw new HttpSyntaxError("the other side does not come to its answer");
}

function truncated(): Error {
  return Object.assign(new Error("the connection was closed before the end"), { code: "ECONNRESET" });
}

/** Exactly `length` bytes of the stream, in pieces. */
async function* readLength(reader: SocketReader, length: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let left = length; left > 0;) {
    const chunk = await reader.read();
    if (chunk === undefined) throw truncated();
    const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
    if (part.length < chunk.length) reader.unread(chunk.subarray(part.length));
    left -= part.length;
    yield part;
  }
}

/** A line without its end; only sizes of chunks and trailers are lines in a body. */
async function readLine(reader: SocketReader): Promise<string> {
  let line: Uint8Array = new Uint8Array(0);
  for (;;) {
    const chunk = await reader.read();
    if (chunk === undefined) throw truncated();
    const end = chunk.indexOf(0x0a);
    line = Buffer.concat([line, end < 0 ? chunk : chunk.subarray(0, end)]);
    if (line.length > 8192) throw new HttpSyntaxError("a line between chunks is too long");
    if (end >= 0) {
      reader.unread(chunk.subarray(end + 1));
      return new TextDecoder("latin1").decode(line).replace(/\r$/, "");
    }
  }
}

async function* decodeBody(reader: SocketReader, framing: BodyFraming): AsyncGenerator<Uint8Array, void, undefined> {
  switch (framing.kind) {
    case "none":
      return;
    case "length":
      return yield* readLength(reader, framing.length);
    case "close":
      for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read()) yield chunk;
      return;
    case "chunked":
      for (;;) {
        const size = parseChunkSize(await readLine(reader));
        if (size === 0) break;
        yield* readLength(reader, size);
        if (await readLine(reader) !== "") throw new HttpSyntaxError("a chunk of the answer is longer than it says");
      }
      for (let trailers = 0; await readLine(reader) !== ""; trailers++) {
        if (trailers >= 100) throw new HttpSyntaxError("the answer has too many trailers");
      }
      return;
    default:
      throw new Error(`Unknown framing ${framing satisfies never}`);
  }
}

/** Drops a body: read to its end when it is short, so that the connection can be kept. */
export async function discardBody(response: HttpResponse): Promise<void> {
  const length = Number(headerValue(response.headers, "content-length") ?? 0);
  let bytes = 0;
  try {
    if (length <= DISCARD_BYTES_MAX) {
      for await (const chunk of response.body) {
        bytes += chunk.length;
        if (bytes > DISCARD_BYTES_MAX) break;
      }
      return;
    }
    // a generator that was never started does not run its `finally`, so it is started and left
    for await (const _ of response.body) break;
  } catch {
    // the answer is not wanted, so how it ends does not matter
  }
}

/**
 * Reads a whole body into memory.
 * @param what Names it in messages, as in `the manifest of "x"`.
 * @throws {RegistryError} RESPONSE_TOO_LARGE, naming the limit; what the connection throws.
 */
export async function readBody(response: HttpResponse, maxBytes: number, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  const tooLarge = (bytes: number) =>
    new RegistryError(
      "RESPONSE_TOO_LARGE",
      `Cannot read ${what}: it has ${bytes} bytes or more, the limit is ${maxBytes}`,
      {
        status: response.status,
        url: showUrl(response.url),
      },
    );
  const length = Number(headerValue(response.headers, "content-length") ?? 0);
  if (length > maxBytes) {
    await discardBody(response);
    throw tooLarge(length);
  }
  for await (const chunk of response.body) {
    total += chunk.length;
    if (total > maxBytes) throw tooLarge(total);
    chunks.push(chunk);
  }
  const coding = headerValue(response.headers, "content-encoding") ?? "identity";
  if (coding.toLowerCase() !== "identity") {
    throw new RegistryError(
      "RESPONSE_INVALID",
      `Cannot read ${what}: it came with the Content-Encoding ${
        JSON.stringify(coding.slice(0, 50))
      }, which was not asked for`,
    );
  }
  return Buffer.concat(chunks);
}
