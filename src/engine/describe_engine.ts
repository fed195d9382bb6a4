/**
 * What `info` tells of an engine: Docker's fields, for the CLI and the API, and what was chosen here, and why.
 *
 * @module
 */
import { cpus, hostname, totalmem } from "node:os";
import { readFileSync } from "node:fs";
import { listImages } from "#image/list.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import type { MachineFacts } from "./check_facts.ts";
import type { DriverChoice } from "#storage/probe.ts";
import type { Engine } from "./engine.ts";
import { countContainers } from "./layer_shelf.ts";

/** The engine in the shape of Docker's `GET /info`; fields of our own are below `Dugout`. */
export function describeEngine(
  engine: Engine,
  facts: MachineFacts,
  version: string,
  { driver, reason, traits }: DriverChoice,
): Record<string, unknown> {
  const containers = countContainers(engine);
  const { images } = listImages(engine.store);
  const cgroup = facts.cgroup.kind === "v2" ? "2" : "1";
  return {
    ID: "",
    Containers: containers.all,
    ContainersRunning: containers.running,
    ContainersPaused: 0,
    ContainersStopped: containers.all - containers.running,
    Images: images.length,
    Driver: driver.name,
    DriverStatus: [
      ["Backing Filesystem", facts.store.fileSystem],
      ["Supports user attributes", String(traits.xattrs)],
      ["Reason", reason],
    ],
    Plugins: { Volume: ["local"], Network: ["host", "none"], Authorization: null, Log: ["none"] },
    MemoryLimit: false,
    SwapLimit: false,
    CpuCfsPeriod: false,
    CpuCfsQuota: false,
    CPUShares: false,
    CPUSet: false,
    PidsLimit: false,
    IPv4Forwarding: true,
    Debug: false,
    OomKillDisable: false,
    SystemTime: new Date().toISOString(),
    LoggingDriver: "none",
    // no limits in this version: no cgroup is touched
    CgroupDriver: "none",
    CgroupVersion: cgroup,
    KernelVersion: facts.kernel,
    OperatingSystem: readOperatingSystem(),
    OSType: "linux",
    Architecture: HOST_ARCH,
    IndexServerAddress: "https://index.docker.io/v1/",
    NCPU: cpus().length,
    MemTotal: totalmem(),
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
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "",
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
    },
  };
}

/** The distribution's name for itself (os-release(5)). */
function readOperatingSystem(): string {
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      const line = readFileSync(path, "utf8").split("\n").find((entry) => entry.startsWith("PRETTY_NAME="));
      if (line !== undefined) return line.slice("PRETTY_NAME=".length).replace(/^"|"$/g, "");
    } catch {
      // not every machine has it
    }
  }
  return "Linux";
}
