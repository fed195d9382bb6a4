/**
 * Commands that docker has and this version does not: they are told apart from mistyped ones. By first word; where a group has
 * commands of ours (`image`, `container`, `system`), by both.
 */
export const LATER_COMMANDS: readonly string[] = [
  "build",
  "builder",
  "buildx",
  "compose",
  "context",
  "image build",
  "image mount",
  "image unmount",
  "manifest",
];

/** Commands that an engine without root or without a cluster cannot have, and why. */
export const REFUSED_COMMANDS: ReadonlyMap<string, string> = new Map([
  ["volume update", "it changes volumes of a cluster, which need a swarm"],
  ["checkpoint", "CRIU cannot restore a container without root"],
  ["plugin", "plugins of docker run with the host's rights, which nobody here has"],
  ["trust", "Docker content trust is being dropped by its makers; pull by digest, or verify signatures with cosign"],
  ["swarm", "a swarm needs overlay networks on the host's interfaces, which take root"],
  ["node", "this is not a swarm manager"],
  ["service", "this is not a swarm manager"],
  ["stack", "this is not a swarm manager"],
  ["config", "this is not a swarm manager"],
  ["secret", "this is not a swarm manager"],
]);
