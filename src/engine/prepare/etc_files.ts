/**
 * The files in a container's /etc that the engine makes: hosts, hostname, resolv.conf. Plain text in, plain text out.
 *
 * @module
 */

/** A line of /etc/hosts. */
export interface HostEntry {
  readonly name: string;
  readonly address: string;
}

const LOCAL_LINES = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

/**
 * The text of /etc/hosts.
 * @param hostText The host's own file, where the container shares its network: it is seen as it is (C-138).
 * @param own Names of the container itself, at its address.
 */
export function hostsText(
  hostText: string | undefined,
  own: readonly HostEntry[],
  added: readonly HostEntry[],
): string {
  const lines = hostText === undefined ? [...LOCAL_LINES] : hostText.replace(/\n+$/, "").split("\n");
  for (const { name, address } of [...(hostText === undefined ? own : []), ...added]) lines.push(`${address}\t${name}`);
  return lines.join("\n") + "\n";
}

/** What `--dns`, `--dns-search` and `--dns-option` say. */
export interface DnsRequest {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

/**
 * The text of /etc/resolv.conf (resolv.conf(5)): the host's, with those kinds of lines replaced that the request gives.
 * A search list of `.` alone removes the host's.
 */
export function resolvText(hostText: string, dns: DnsRequest): string {
  const replaced: string[] = [];
  if (dns.servers.length > 0) replaced.push("nameserver");
  if (dns.searches.length > 0) replaced.push("search", "domain");
  if (dns.options.length > 0) replaced.push("options");
  const kept = hostText.split("\n").filter((line) => {
    const word = line.trim().split(/[ \t]/, 1)[0] ?? "";
    return line.trim() !== "" && !replaced.includes(word);
  });
  const searches = dns.searches.filter((domain) => domain !== ".");
  return [
    ...kept,
    ...dns.servers.map((server) => `nameserver ${server}`),
    ...(searches.length > 0 ? [`search ${searches.join(" ")}`] : []),
    ...(dns.options.length > 0 ? [`options ${dns.options.join(" ")}`] : []),
  ].map((line) => `${line}\n`).join("");
}
