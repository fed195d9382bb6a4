import type { Brand } from "#linux/call.ts";
import { randomBytes, randomHex } from "#linux/random.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** 64 lower-case hexadecimal digits; people see the first twelve. */
export type ContainerId = Brand<string, "ContainerId">;

/** A new, random id. Random, so that machines that share a home do not meet in one. */
export function makeContainerId(): ContainerId {
  return randomHex(32) as ContainerId;
}

const LEFT =
  "amber brisk calm clever crisp eager early fair fleet gentle grand green happy hardy honest humble jolly keen kind light lively lucky mellow merry mild neat noble patient placid plain proud quick quiet rapid ready silent silver simple sleek smooth snug solid steady still stout sturdy sunny swift tidy trusty warm wise witty young"
    .split(" ");
const RIGHT =
  "alder anchor aspen beacon birch bow breeze brook buoy canoe cape cedar cove creek current delta drift eddy elm estuary ferry fjord gale gull harbor hull inlet island jetty keel kelp lagoon ledge maple mast mooring oar oak otter paddle pebble pine plank prow reed reef ripple river rudder sail shoal shore spruce stern stream tide willow"
    .split(" ");

/** A name for a container that was given none: two words of the water and the wood. */
export function makeContainerName(): string {
  const [a, b] = randomBytes(2);
  return `${LEFT[a! % LEFT.length]}_${RIGHT[b! % RIGHT.length]}`;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/;

/**
 * Checks a name that a user gave: Docker's grammar.
 * @throws {DugoutError} NAME_INVALID.
 */
export function checkContainerName(name: string): string {
  const bare = name.startsWith("/") ? name.slice(1) : name;
  if (!NAME.test(bare)) {
    throw new DugoutError(
      "NAME_INVALID",
      `Cannot name a container ${quote(name)}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  return bare;
}
