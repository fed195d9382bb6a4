import { DEFAULT_DOMAIN } from "#oci/reference.ts";

/** A repository at a registry that is asked for it: the one in the image's name, where registries.conf sends us instead, or a mirror. */
export interface Endpoint {
  /** The registry as users write it, with its port: the key of its credentials. */
  host: string;
  /** Path of the repository there, such as `library/debian`. */
  repository: string;
  /** Whether the configuration or a flag allows this host to be without TLS, or without a valid certificate. */
  isInsecure: boolean;
  isMirror: boolean;
}

/** Docker's registry answers under another name than the one in image names. */
export function apiHost(host: string): string {
  return host === DEFAULT_DOMAIN ? "registry-1.docker.io" : host;
}
