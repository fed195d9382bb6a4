import { capabilityName, capabilityNumber, isAllCapabilities } from "#linux/capabilities.ts";
import { flagError } from "./flag_error.ts";

/**
 * Reads one `--cap-add` or `--cap-drop`: a capability's name with or without `CAP_`, or `ALL`, in any case.
 * @returns `ALL`, or the name with its prefix.
 */
export function parseCapabilityName(text: string, flag: "--cap-add" | "--cap-drop"): string {
  if (isAllCapabilities(text)) return "ALL";
  const number = capabilityNumber(text);
  if (number === undefined) throw flagError(flag, text, "there is no such capability", "capabilities(7) lists them");
  return capabilityName(number);
}
