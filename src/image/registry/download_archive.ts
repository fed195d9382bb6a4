import { answerError } from "./answer_error.ts";
import type { RegistryClient } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { RegistryError } from "./error.ts";
import { headerValue } from "./http1.ts";
import type { TlsPolicy } from "./redirect.ts";
import { discardBody, type HttpResponse } from "./transport.ts";
import { admitUrl, isSameOrigin, showUrl } from "./url_gate.ts";

export interface DownloadArchiveOptions {
  /** More bytes than these are not taken. */
  maxBytes: number;
  /** Whether a host need not have a valid certificate: as the configuration says. */
  isInsecure: (host: string) => boolean;
  signal?: AbortSignal | undefined;
}

/**
 * The bytes of an archive at an address that the user gave. It passes the one gate for addresses, as do its redirects; plain http is for the
 * origin that was typed with it. No credentials are sent. Nothing says what the content should be: who wants to know has https.
 * @throws {RegistryError} URL_REFUSED, REDIRECT_REFUSED, NOT_FOUND, RESPONSE_TOO_LARGE, CONNECTION_FAILED …
 */
export async function* downloadArchive(
  client: RegistryClient,
  address: string,
  options: DownloadArchiveOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const url = admitUrl(address, "the address of the archive");
  const what = `the archive ${showUrl(url)}`;
  const tooLarge = () =>
    new RegistryError("RESPONSE_TOO_LARGE", `Cannot get ${what}: it has more than ${options.maxBytes} bytes`);
  const response = await openArchive(client, url, what, options);
  if (Number(headerValue(response.headers, "content-length") ?? 0) > options.maxBytes) {
    await discardBody(response);
    throw tooLarge();
  }
  let done = 0;
  for await (const chunk of response.body) {
    done += chunk.length;
    if (done > options.maxBytes) throw tooLarge();
    yield chunk;
  }
}

/** Passing faults are waited out; once bytes come, a fault is an error. */
async function openArchive(
  client: RegistryClient,
  url: URL,
  what: string,
  { isInsecure, signal }: DownloadArchiveOptions,
): Promise<HttpResponse> {
  const endpoint: Endpoint = { host: url.host, repository: "", isInsecure: isInsecure(url.host), isMirror: false };
  const policy: TlsPolicy = {
    allowsPlain: (to) => isSameOrigin(to, url),
    verifiesTls: (to) => !(endpoint.isInsecure && to.host === url.host),
  };
  for (let failures = 1;; failures++) {
    try {
      const response = await client.sendUnder(policy, {
        method: "GET",
        url,
        headers: [["User-Agent", client.userAgent]],
        signal,
      });
      if (response.status === 200) return response;
      throw await answerError(response, "GET", `Cannot get ${what}`, endpoint);
    } catch (error) {
      await client.waitToRetry(error, failures, { endpoint, signal });
    }
  }
}
