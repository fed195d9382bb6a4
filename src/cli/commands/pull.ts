import { parsePlatform } from "#oci/platform.ts";
import { escapeText } from "#oci/text.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, switchOption, textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { fullName, pullWithProgress } from "../pull_with_progress.ts";

/** `dugout pull` */
export async function runPull({ options, args, global }: Invocation): Promise<number> {
  const platform = textOption(options, "platform");
  const results = await pullWithProgress({
    global,
    name: args[0] ?? "",
    platform: platform === undefined ? undefined : parsePlatform(platform),
    tlsVerify: switchOption(options, "tls-verify"),
    allTags: hasSwitch(options, "all-tags"),
    isQuiet: hasSwitch(options, "quiet"),
    isForRun: false,
    fd: 1,
  });
  const last = results.at(-1);
  if (last === undefined) return 0;
  const name = fullName(last);
  // of all tags docker names the repository
  printOut(escapeText(hasSwitch(options, "all-tags") ? name.slice(0, name.lastIndexOf(":")) : name) + "\n");
  return 0;
}
