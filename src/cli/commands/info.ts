import { probeMachine } from "#engine/check/check_probe.ts";
import { describeEngine } from "#engine/describe/describe_engine.ts";
import { openEngine } from "#engine/engine.ts";
import { openDriver } from "#engine/prepare/storage_driver.ts";
import { escapeText } from "#oci/text.ts";
import { warn } from "../context.ts";
import { formatObject } from "../format/inspect.ts";
import { humanBinarySize } from "../format/units.ts";
import type { Invocation } from "../invocation.ts";
import { textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { VERSION } from "../version.ts";

/** `dugout info` */
export async function runInfo({ options, global }: Invocation): Promise<number> {
  const engine = openEngine({ ...global, warn: (message) => warn(global, message) });
  const object = {
    ...describeEngine(engine, probeMachine(engine.dataRoot), VERSION, await openDriver(engine)),
    Debug: global.debug,
    ClientInfo: { Debug: global.debug, Version: VERSION, Context: "default", Plugins: [], Warnings: null },
  };
  printOut(formatObject(object, textOption(options, "format"), () => describeForPeople(object)));
  return 0;
}

/** Docker's lines, in its order; what it has no line for stands last. */
function describeForPeople(info: Record<string, unknown>): string {
  const text = (name: string): string => escapeText(String(info[name]), 1000);
  const object = (name: string): Record<string, unknown> => info[name] as Record<string, unknown>;
  const list = (value: unknown): string => (value as readonly string[]).join(" ");
  const plugins = object("Plugins");
  const dugout = object("Dugout");
  return [
    "Client:",
    ` Version:    ${VERSION}`,
    " Context:    default",
    ` Debug Mode: ${text("Debug")}`,
    "",
    "Server:",
    ` Containers: ${text("Containers")}`,
    `  Running: ${text("ContainersRunning")}`,
    `  Paused: ${text("ContainersPaused")}`,
    `  Stopped: ${text("ContainersStopped")}`,
    ` Images: ${text("Images")}`,
    ` Server Version: ${VERSION}`,
    ` Storage Driver: ${text("Driver")}`,
    ...(info["DriverStatus"] as [string, string][]).map(([name, value]) => `  ${name}: ${escapeText(value)}`),
    ` Logging Driver: ${text("LoggingDriver")}`,
    ` Cgroup Driver: ${text("CgroupDriver")}`,
    ` Cgroup Version: ${text("CgroupVersion")}`,
    `  Controllers: ${list(dugout["CgroupControllers"]) || "none"}`,
    `  Reason: ${escapeText(String(dugout["CgroupReason"]))}`,
    " Plugins:",
    `  Volume: ${list(plugins["Volume"])}`,
    `  Network: ${list(plugins["Network"])}`,
    `  Log: ${list(plugins["Log"])}`,
    " Swarm: inactive",
    ` Runtimes: ${text("DefaultRuntime")}`,
    ` Default Runtime: ${text("DefaultRuntime")}`,
    " Security Options:",
    ...(info["SecurityOptions"] as string[]).flatMap(describeSecurityOption),
    ` Kernel Version: ${text("KernelVersion")}`,
    ` Operating System: ${text("OperatingSystem")}`,
    ` OSType: ${text("OSType")}`,
    ` Architecture: ${text("Architecture")}`,
    ` CPUs: ${text("NCPU")}`,
    ` Total Memory: ${humanBinarySize(Number(info["MemTotal"]))}`,
    ` Name: ${text("Name")}`,
    ` Docker Root Dir: ${text("DockerRootDir")}`,
    ` Runtime Dir: ${escapeText(String(dugout["RunDir"]))}`,
    ` Ids: ${escapeText(String(dugout["Ids"]))}`,
    `  Reason: ${escapeText(String(dugout["IdsReason"]))}`,
    "",
  ].join("\n");
}

/** `name=seccomp,profile=builtin` as docker prints it: the name, and its properties below it. */
function describeSecurityOption(option: string): string[] {
  const [name = "", ...rest] = option.split(",").map((part) => part.split("="));
  return [
    `  ${name[1] ?? ""}`,
    ...rest.map(([key = "", value = ""]) => `   ${key.charAt(0).toUpperCase()}${key.slice(1)}: ${value}`),
  ];
}
