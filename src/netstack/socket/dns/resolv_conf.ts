/**
 * The host's file of name servers, resolv.conf(5), as its C library reads it.
 *
 * @module
 */
import { type IpAddress, parseIpAddress } from "../../ip_address.ts";
import { encodeName } from "../../wire/dns_name.ts";

/** What is believed of a file: more of each is passed over, as the C library does (MAXNS is 3). */
const MAX_SERVERS = 3;
const MAX_SEARCH = 16;

export interface ResolvConf {
  readonly servers: readonly IpAddress[];
  /** Lower case, without a dot at the end. */
  readonly search: readonly string[];
}

/** Where no server is named, or there is no file, one on the machine itself is asked. */
const LOCAL_SERVER = "127.0.0.1";

/**
 * Reads the file's text. Servers with a zone (`fe80::1%eth0`) are passed over.
 * @param text Undefined where there is no file.
 */
export function parseResolvConf(text: string | undefined): ResolvConf {
  const servers: IpAddress[] = [];
  let search: string[] = [];
  for (const line of (text ?? "").slice(0, 65_536).split("\n")) {
    if (line.startsWith("#") || line.startsWith(";")) continue;
    const [keyword = "", ...words] = line.trim().split(/[ \t]+/);
    if (keyword === "nameserver") {
      const address = parseIpAddress(words[0] ?? "");
      if (address !== undefined && servers.length < MAX_SERVERS) servers.push(address);
    } else if (keyword === "search" || keyword === "domain") {
      // the last one counts
      search = (keyword === "domain" ? words.slice(0, 1) : words.slice(0, MAX_SEARCH))
        .map((word) => word.toLowerCase().replace(/\.$/, ""))
        .filter((word) => word !== "" && encodeName(word) !== undefined);
    }
  }
  return { servers: servers.length > 0 ? servers : [parseIpAddress(LOCAL_SERVER)!], search };
}
