import * as v from "valibot";
import { parseJson } from "#oci/json.ts";
import { LIMITS } from "#oci/limits.ts";
import { escapeText } from "#oci/text.ts";
import { apiHost, type Endpoint } from "./endpoint.ts";
import { RegistryError } from "./error.ts";
import { headerValue } from "./http1.ts";
import { isTransientStatus } from "./retry.ts";
import { discardBody, type HttpResponse, readBody } from "./transport.ts";
import { showUrl } from "./url_gate.ts";

/** The registry's own words are cut after so many characters. */
const WORDS_MAX = 500;

const errorsSchema = v.object({
  errors: v.array(v.object({
    code: v.optional(v.nullable(v.string())),
    message: v.optional(v.nullable(v.string())),
    detail: v.optional(v.unknown()),
  })),
});
const tokenErrorSchema = v.object({
  error: v.optional(v.nullable(v.string())),
  error_description: v.optional(v.nullable(v.string())),
  details: v.optional(v.nullable(v.string())),
  message: v.optional(v.nullable(v.string())),
});

/** What the registry says itself in an error answer (distribution-spec, "Error Codes"; RFC 6749 §5.2 for token servers). */
export function parseErrorWords(bytes: Uint8Array, contentType: string): { code: string; words: string } {
  try {
    const value = parseJson(bytes, "the error", { maxBytes: LIMITS.errorBytes });
    const list = v.safeParse(errorsSchema, value);
    if (list.success) {
      const words = list.output.errors.slice(0, 5).map((error) =>
        [error.code, error.message].filter(Boolean).join(": ")
      );
      return { code: list.output.errors[0]?.code ?? "", words: escapeText(words.join("; "), WORDS_MAX) };
    }
    const token = v.safeParse(tokenErrorSchema, value);
    if (token.success) {
      const { error, error_description: description, details, message } = token.output;
      return {
        code: "",
        words: escapeText([error, description ?? details ?? message].filter(Boolean).join(": "), WORDS_MAX),
      };
    }
  } catch {
    // no JSON: the words are taken as text below
  }
  if (contentType.includes("html")) return { code: "", words: "" };
  const text = new TextDecoder("utf-8").decode(bytes.subarray(0, 4 * WORDS_MAX)).trim();
  return { code: "", words: escapeText(text, WORDS_MAX) };
}

function planCode(status: number): string {
  if (status === 401) return "UNAUTHORIZED";
  if (status === 403) return "DENIED";
  if (status === 404) return "NOT_FOUND";
  if (status === 429) return "TOO_MANY_REQUESTS";
  return status >= 500 ? "UNAVAILABLE" : "REJECTED";
}

function planHint(status: number, host: string): string | undefined {
  if (status === 401) {
    return `Log in with "dugout login ${host}", or check the name: registries answer the same for what is not there`;
  }
  if (status === 403) return `Check the name, and with "dugout login ${host}" that your account may use it`;
  if (status === 429) return "Wait some minutes, or log in: registries allow more to those whom they know";
  return undefined;
}

/**
 * Makes an error of an answer that is none of the wanted ones, and reads (and caps) the registry's own words.
 * @param action What was tried, as in `Cannot get the manifest of "x"`.
 */
export async function answerError(
  response: HttpResponse,
  method: string,
  action: string,
  endpoint: Endpoint,
): Promise<RegistryError> {
  const { status, reason, url } = response;
  let words = { code: "", words: "" };
  try {
    const bytes = await readBody(response, LIMITS.errorBytes, "the error");
    words = parseErrorWords(bytes, headerValue(response.headers, "content-type") ?? "");
  } catch {
    await discardBody(response);
  }
  const { host } = endpoint;
  const who = url.host === apiHost(host) ? `registry "${host}"` : `"${url.host}", where registry "${host}" led,`;
  const told = words.words === "" ? "" : `: ${words.words}`;
  return new RegistryError(planCode(status), `${action}: ${who} answered ${status} ${escapeText(reason, 60)}${told}`, {
    status,
    method,
    url: showUrl(url),
    hint: planHint(status, host),
    isTransient: isTransientStatus(status),
  });
}
