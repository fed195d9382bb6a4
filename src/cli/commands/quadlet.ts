import { join } from "node:path";
import { findAccount } from "#linux/account.ts";
import { convertAll } from "#quadlet/convert.ts";
import { loadSources, quadletDirectories } from "#quadlet/load_sources.ts";
import type { Service } from "#quadlet/source.ts";
import { installServices, printService, writeServices } from "#quadlet/write_services.ts";
import { ownCommand } from "#runtime/own_command.ts";
import { DugoutError } from "#oci/error.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch } from "../options.ts";
import { printOut } from "../output.ts";
import { reportError } from "../report.ts";
import { usageError } from "../usage_error.ts";

/** `dugout quadlet`: what is wrong with one file is reported, and the others are made. */
export function runQuadlet({ options, args, global }: Invocation): number {
  const [isDry, installs] = [hasSwitch(options, "dryrun"), hasSwitch(options, "install")];
  const [normal] = args;
  if ([isDry, installs, normal !== undefined].filter(Boolean).length !== 1) {
    throw usageError("one of --dryrun, --install and a directory says where services go", 1, "'dugout quadlet --help'");
  }
  const { env } = process;
  const uid = process.geteuid!();
  const home = env["HOME"] || findAccount(uid)?.home;
  const { sources, errors } = loadSources(quadletDirectories({ env, uid, home }));
  let exitCode = 0;
  const report = (error: DugoutError) =>
    void (exitCode = reportError(error, { failureExitCode: 1, debug: global.debug }));
  errors.forEach(report);
  const services: Service[] = [];
  for (const converted of convertAll(sources, ownCommand())) {
    if ("error" in converted) report(converted.error);
    else services.push(converted.service);
  }
  if (isDry) { for (const service of services) printOut(`---${service.name}---\n${printService(service)}\n`); }
  else if (normal !== undefined) writeServices(normal, services);
  else {
    const directory = unitDirectory(env["XDG_DATA_HOME"], home, uid);
    installServices(directory, services);
    for (const { name } of services) printOut(`${join(directory, name)}\n`);
  }
  return exitCode;
}

/** Where units of programs in a home lie (systemd.unit(5)): a user's own, in ~/.config, stand above them. */
function unitDirectory(data: string | undefined, home: string | undefined, uid: number): string {
  if (data?.startsWith("/")) return join(data, "systemd/user");
  if (home !== undefined) return join(home, ".local/share/systemd/user");
  throw new DugoutError("NO_HOME", `Cannot find a place for units: user ${uid} has no home directory`, {
    hint: "set XDG_DATA_HOME",
  });
}
