/** One way to authenticate that a server offers (RFC 9110 §11.6.1): scheme and parameters, names in lower case. */
export interface Challenge {
  scheme: string;
  parameters: Map<string, string>;
}

/** More is no honest header. */
const HEADER_LENGTH_MAX = 16 * 1024;
const CHALLENGES_MAX = 20;
const PARAMETERS_MAX = 50;

function isTokenCode(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) ||
    "!#$%&'*+-.^_`|~".includes(String.fromCharCode(code));
}

/**
 * Parses WWW-Authenticate, one pass over the text. What cannot be understood ends the parse: the challenges before it count.
 */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, HEADER_LENGTH_MAX);
  const challenges: Challenge[] = [];
  let at = 0;
  const skip = (characters: string) => {
    while (at < text.length && characters.includes(text[at] ?? "")) at++;
  };
  const token = (): string => {
    const start = at;
    while (at < text.length && isTokenCode(text.charCodeAt(at))) at++;
    return text.slice(start, at);
  };
  const quoted = (): string | undefined => {
    const parts: string[] = [];
    for (at++; at < text.length; at++) {
      if (text[at] === '"') {
        at++;
        return parts.join("");
      }
      if (text[at] === "\\") at++;
      parts.push(text[at] ?? "");
    }
    return undefined;
  };
  while (challenges.length < CHALLENGES_MAX) {
    skip(" \t,");
    const word = token();
    if (word === "") break;
    skip(" \t");
    const current = challenges.at(-1);
    if (text[at] !== "=") {
      challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
      continue;
    }
    // `name=value` belongs to the scheme before it; a token68 (`Scheme abc==`) is of no use to us and ends up here too
    at++;
    skip(" \t");
    const value = text[at] === '"' ? quoted() : token();
    if (current === undefined || value === undefined || current.parameters.size >= PARAMETERS_MAX) break;
    const name = word.toLowerCase();
    if (!current.parameters.has(name)) current.parameters.set(name, value);
  }
  return challenges;
}
