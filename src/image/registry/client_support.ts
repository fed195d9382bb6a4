/** A client for tests: no credentials, a clock that only remembers how long it was asked to wait, names that lead to 127.0.0.1. */
import { RegistryClient, type RegistryClientOptions } from "./client.ts";
import type { Credentials } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";

export interface TestClient {
  client: RegistryClient;
  /** The waits that were asked for, in milliseconds. */
  waits: number[];
  notices: string[];
}

/** @param credentials By host. */
export function makeTestClient(
  credentials: Record<string, Credentials> = {},
  options: Partial<RegistryClientOptions> = {},
): TestClient {
  const waits: number[] = [];
  const notices: string[] = [];
  const client = new RegistryClient({
    env: {},
    findCredentials: (host) => Promise.resolve(credentials[host]),
    notice: (line) => notices.push(line),
    resolveHost: (hostname) => hostname.endsWith(".test") ? "127.0.0.1" : hostname,
    clock: {
      now: Date.now,
      random: () => 0,
      sleep: (ms) => {
        waits.push(ms);
        return Promise.resolve();
      },
    },
    ...options,
  });
  return { client, waits, notices };
}

export function endpointOf(host: string, repository = "some/image", options: Partial<Endpoint> = {}): Endpoint {
  return { host, repository, isInsecure: false, isMirror: false, ...options };
}

/** A sink that keeps what it gets. */
export function makeSink(
  already: Uint8Array = new Uint8Array(0),
): { offset: number; chunks: Uint8Array[]; write: (chunk: Uint8Array) => void; bytes: () => Uint8Array } {
  const sink = {
    offset: already.length,
    chunks: [already],
    write(chunk: Uint8Array) {
      sink.chunks.push(chunk.slice());
      sink.offset += chunk.length;
    },
    bytes: () => new Uint8Array(Buffer.concat(sink.chunks)),
  };
  return sink;
}
