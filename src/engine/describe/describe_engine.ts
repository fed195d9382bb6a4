/**
 * What `info` tells of an engine: Docker's fields, for the CLI and the API, and what was chosen here, and why.
 *
 * @module
 */
import { cpus, hostname, totalmem } from "node:os";
import { readFileSync } from "node:fs";
import { listImages } from "#image/list.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import type { MachineFacts } from "../check/check_facts.ts";
import { choosePlace, delegationDropIn, missingControllers } from "#cgroup/place.ts";
import { CONTROLLERS } from "#linux/cgroup.ts";
import type { DriverChoice } from "#storage/probe.ts";
import type { Engine } from "../engine.ts";
import { countContainers } from "../store/layer_shelf.ts";

/** The engine in the shape of Docker's `GET /info`; fields of our own are below `Dugout`. */
export function describeEngine(
  engine: Engine,
  facts: MachineFacts,
  version: string,
  { driver, reason, traits }: DriverChoice,
): Record<string, unknown> {
  const containers = countContainers(engine);
  const { images } = listImages(engine.store);
  const place = choosePlace(facts.cgroup);
  const has = (controller: string): boolean => place.kind !== "none" && place.controllers.includes(controller);
  return {
    ID: "",
    Containers: containers.all,
    ContainersRunning: containers.running,
    ContainersPaused: containers.paused,
    ContainersStopped: containers.all - containers.running - containers.paused,
    Images: images.length,
    Driver: driver.name,
    DriverStatus: [
      ["Backing Filesystem", facts.store.fileSystem],
      ["Supports user attributes", String(traits.xattrs)],
      ["Reason", reason],
    ],
    Plugins: {
      Volume: ["local"],
      Network: ["bridge", "host", "null"],
      Authorization: null,
      Log: ["json-file", "local", "none"],
    },
    MemoryLimit: has("memory"),
    SwapLimit: has("memory"),
    CpuCfsPeriod: has("cpu"),
    CpuCfsQuota: has("cpu"),
    CPUShares: has("cpu"),
    CPUSet: has("cpuset"),
    PidsLimit: has("pids"),
    IPv4Forwarding: true,
    BridgeNfIptables: false,
    BridgeNfIp6tables: false,
    Debug: false,
    NFd: 0,
    OomKillDisable: false,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: "json-file",
    // docker's words: by systemd's scopes, or by writing into the tree
    CgroupDriver: place.kind === "systemd" ? "systemd" : place.kind === "own" ? "cgroupfs" : "none",
    CgroupVersion: facts.cgroup.kind === "v2" ? "2" : "1",
    KernelVersion: facts.kernel,
    OperatingSystem: readRelease("PRETTY_NAME") ?? "Linux",
    OSVersion: readRelease("VERSION_ID") ?? "",
    OSType: "linux",
    Architecture: HOST_ARCH,
    IndexServerAddress: "https://index.docker.io/v1/",
    RegistryConfig: {
      AllowNondistributableArtifactsCIDRs: null,
      InsecureRegistryCIDRs: [],
      IndexConfigs: new Map(),
      Mirrors: null,
    },
    NCPU: cpus().length,
    MemTotal: totalmem(),
    GenericResources: null,
    DockerRootDir: engine.dataRoot,
    HttpProxy: "",
    HttpsProxy: "",
    NoProxy: "",
    Name: hostname(),
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: version,
    Runtimes: { dugout: { path: facts.program } },
    DefaultRuntime: "dugout",
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    NEventsListener: 0,
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "",
    ContainerdCommit: { ID: "" },
    RuncCommit: { ID: "" },
    InitCommit: { ID: "" },
    CDISpecDirs: null,
    SecurityOptions: [
      ...(facts.hasSeccomp ? ["name=seccomp,profile=builtin"] : []),
      "name=rootless",
      "name=cgroupns",
      ...(facts.landlockAbi > 0 ? [`name=landlock,version=${facts.landlockAbi}`] : []),
    ],
    Warnings: [],
    Dugout: {
      RunDir: engine.runRoot,
      Ids: engine.identity.ranges === undefined ? "single" : "range",
      IdsReason: engine.identity.reason,
      DriverReason: reason,
      CgroupControllers: place.kind === "none" ? [] : place.controllers,
      CgroupReason: place.kind === "none"
        ? place.reason
        : place.kind === "own"
        ? `our group ${place.group}`
        : place.socket,
      CgroupDropIn: missingControllers(place, CONTROLLERS).length === 0 ? "" : delegationDropIn(CONTROLLERS),
    },
  };
}

/** What the distribution says of itself (os-release(5)). */
function readRelease(key: string): string | undefined {
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      const line = readFileSync(path, "utf8").split("\n").find((entry) => entry.startsWith(`${key}=`));
      if (line !== undefined) return line.slice(key.length + 1).replace(/^"|"$/g, "");
    } catch {
      // not every machine has it
    }
  }
  return undefined;
}
