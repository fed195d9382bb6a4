import type { Socket } from "node:net";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { quote } from "#oci/text.ts";
import { RegistryError } from "./error.ts";
import { encodeRequestHead, findHeadEnd, HEAD_BYTES_MAX, parseResponseHead } from "./http1.ts";
import type { Proxy } from "./proxy.ts";
import { bareHostname, portOf } from "./url_gate.ts";

/** Files of the user and the system that TLS to a host needs. */
export interface TlsFiles {
  /** Certificate authorities in PEM, instead of those of the runtime. */
  authorities?: string[];
  /** The client's certificate and key in PEM. */
  certificate?: string;
  key?: string;
}

/** Where and how to connect. */
export interface SocketTarget {
  url: URL;
  /** The host to connect to, as a name or an address; the certificate is checked for the one in the URL. */
  address: string;
  tls: TlsFiles;
  /** Whether the certificate must be valid for the host; false only where the configuration or a flag names the host (A-018). */
  verifyTls: boolean;
  proxy?: Proxy | undefined;
  connectTimeoutMs: number;
  /** The clock, in milliseconds since 1970; for the message about certificates. */
  now: () => number;
}

function isIpAddress(host: string): boolean {
  return host.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}

/** Resolves when `event` comes, rejects on an error, an end, or when the time is up; the socket is destroyed then. */
function waitFor(socket: Socket, event: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      clearTimeout(timer);
      socket.off(event, onEvent).off("error", settle).off("close", onClose);
      if (error === undefined) return resolve();
      socket.on("error", () => {});
      socket.destroy();
      reject(error);
    };
    const onEvent = () => settle();
    const onClose = () => settle(Object.assign(new Error("the connection was closed"), { code: "ECONNRESET" }));
    const timer = setTimeout(() => settle(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })), timeoutMs);
    socket.on(event, onEvent).on("error", settle).on("close", onClose);
  });
}

function errorCode(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}

/** Words for the errors of connecting; the code stays in the message for those who search for it. */
const CONNECT_WORDS: ReadonlyMap<string, string> = new Map([
  ["ENOTFOUND", "there is no host of that name"],
  ["EAI_AGAIN", "the name could not be looked up"],
  ["EAI_NODATA", "the name has no address"],
  ["ECONNREFUSED", "nothing listens there"],
  ["ECONNRESET", "the other side closed the connection"],
  ["ETIMEDOUT", "there was no answer in time"],
  ["EHOSTUNREACH", "the host cannot be reached"],
  ["ENETUNREACH", "the network cannot be reached"],
  ["EPIPE", "the other side closed the connection"],
]);

/** Makes a connection error of what a socket said. */
export function connectionError(action: string, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const code = errorCode(error);
  const words = CONNECT_WORDS.get(code);
  const detail = words === undefined ? (error instanceof Error ? error.message : String(error)) : `${words} (${code})`;
  return new RegistryError(
    code === "ETIMEDOUT" || code === "TRICKLE" ? "TIMED_OUT" : "CONNECTION_FAILED",
    `${action}: ${detail}`,
    {
      // a name that does not exist will not exist in a second either
      isTransient: code !== "ENOTFOUND",
      cause: error,
    },
  );
}

async function openTcp(hostname: string, port: number, timeoutMs: number, signal?: AbortSignal): Promise<Socket> {
  const { connect } = await import("node:net");
  signal?.throwIfAborted();
  const socket = connect({ host: hostname, port });
  const abort = () => socket.destroy(new Error("aborted"));
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await waitFor(socket, "connect", timeoutMs);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  socket.setNoDelay(true);
  return socket;
}

/** Opens a tunnel through the proxy (RFC 9110 §9.3.6). */
async function openTunnel(socket: Socket, authority: string, proxy: Proxy, timeoutMs: number): Promise<void> {
  const headers: [string, string][] = [["Host", authority]];
  if (proxy.authorization !== undefined) headers.push(["Proxy-Authorization", proxy.authorization]);
  socket.write(encodeRequestHead("CONNECT", authority, headers));
  let bytes = Buffer.alloc(0);
  let end = -1;
  while (end < 0) {
    if (bytes.length > HEAD_BYTES_MAX) throw new RegistryError("PROXY_FAILED", "its answer has too many header fields");
    await waitFor(socket, "readable", timeoutMs);
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      bytes = Buffer.concat([bytes, chunk]);
    }
    end = findHeadEnd(bytes);
    if (end < 0 && socket.readableEnded) {
      throw new RegistryError("PROXY_FAILED", "it closed the connection", { isTransient: true });
    }
  }
  const head = parseResponseHead(bytes.subarray(0, end));
  if (head.status < 200 || head.status > 299 || bytes.length > end) {
    socket.destroy();
    throw new RegistryError("PROXY_FAILED", `it answered ${head.status} ${quote(head.reason)} to CONNECT`, {
      status: head.status,
      hint: head.status === 407
        ? "Put user and password into HTTPS_PROXY, or name the registry in NO_PROXY"
        : undefined,
      isTransient: head.status >= 500,
    });
  }
}

function tlsOptions(target: SocketTarget, verify: boolean): ConnectionOptions {
  const host = bareHostname(target.url);
  const { authorities, certificate, key } = target.tls;
  return {
    // what the certificate is checked for; the connection itself is there already
    host,
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: verify,
    // a server name must not be an address (RFC 6066 §3)
    ...(isIpAddress(host) ? {} : { servername: host }),
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
  };
}

const CERTIFICATE_CODES: ReadonlySet<string> = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_UNTRUSTED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_CHAIN_TOO_LONG",
  "CERT_REVOKED",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "HOSTNAME_MISMATCH",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

/** The certificate of a server that was refused: a second connection over which nothing is sent. */
async function describeCertificate(target: SocketTarget): Promise<string> {
  const clock = `this machine's time is ${new Date(target.now()).toUTCString()}`;
  try {
    const socket = await startTls(target, await openBelowTls(target), false);
    const certificate = socket.getPeerCertificate();
    socket.on("error", () => {});
    socket.destroy();
    if (typeof certificate?.valid_from !== "string") return `; ${clock}`;
    const names = certificate.subjectaltname ?? "";
    const dates = `the certificate is valid from ${certificate.valid_from} to ${certificate.valid_to}`;
    return `; ${dates}, ${clock}${names === "" ? "" : `; it is for ${quote(names, 300)}`}`;
  } catch {
    return `; ${clock}`;
  }
}

async function tlsError(target: SocketTarget, error: unknown): Promise<RegistryError> {
  const action = `Cannot make a secure connection to "${target.url.host}"`;
  const code = errorCode(error);
  if (CERTIFICATE_CODES.has(code)) {
    // C-131: whose clock is wrong can only be told from both times
    return new RegistryError(
      "TLS_FAILED",
      `${action}: its certificate is not accepted (${code})${await describeCertificate(target)}`,
      {
        hint:
          `If the registry has its own authority, put its certificate into ~/.config/containers/certs.d/${target.url.host}/ca.crt`,
        cause: error,
      },
    );
  }
  if (code === "ETIMEDOUT") return connectionError(action, error);
  const words = error instanceof Error ? error.message : String(error);
  return new RegistryError("TLS_REQUIRED", `${action}: it does not speak TLS there (${quote(code || words, 100)})`, {
    hint:
      `If it is meant to be without TLS, write "insecure = true" for "${target.url.host}" into registries.conf, or use --tls-verify=false`,
    isTransient: code === "ECONNRESET",
    cause: error,
  });
}

/** TCP to the host, or the tunnel to it through the proxy. */
async function openBelowTls(target: SocketTarget, signal?: AbortSignal): Promise<Socket> {
  const { url, proxy, connectTimeoutMs } = target;
  if (proxy === undefined) {
    try {
      return await openTcp(target.address, portOf(url), connectTimeoutMs, signal);
    } catch (error) {
      throw connectionError(`Cannot connect to "${url.host}"`, error);
    }
  }
  const action = `Cannot reach "${url.host}" through the proxy "${proxy.hostname}:${proxy.port}"`;
  try {
    const socket = await openTcp(proxy.hostname, proxy.port, connectTimeoutMs, signal);
    if (url.protocol === "https:") await openTunnel(socket, `${url.hostname}:${portOf(url)}`, proxy, connectTimeoutMs);
    return socket;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw connectionError(action, error);
    const { status, hint, isTransient } = error;
    throw new RegistryError(error.code, `${action}: ${error.message}`, { status, hint, isTransient, cause: error });
  }
}

async function startTls(target: SocketTarget, below: Socket, verify: boolean): Promise<TLSSocket> {
  const { checkServerIdentity, connect } = await import("node:tls");
  const host = bareHostname(target.url);
  const socket = connect({
    ...tlsOptions(target, verify),
    socket: below,
    // said in full, since Deno 2.9 checks for "localhost" where there is no server name
    checkServerIdentity: (_host, certificate) => checkServerIdentity(host, certificate),
  });
  below.on("error", () => {});
  await waitFor(socket, "secureConnect", target.connectTimeoutMs);
  return socket;
}

/**
 * Opens a connection to the host of a URL: plain for http, TLS for https, never one instead of the other (A-018).
 * @throws {RegistryError} CONNECTION_FAILED, TIMED_OUT, PROXY_FAILED, TLS_FAILED (certificate), TLS_REQUIRED (the other side has no TLS).
 */
export async function openSocket(target: SocketTarget, signal?: AbortSignal): Promise<Socket> {
  const below = await openBelowTls(target, signal);
  if (target.url.protocol === "http:") return below;
  try {
    return await startTls(target, below, target.verifyTls);
  } catch (error) {
    below.destroy();
    throw await tlsError(target, error);
  }
}
