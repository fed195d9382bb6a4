import { release } from "node:os";
import { HOST_ARCH } from "#linux/arch.ts";
import { hostPlatform } from "#oci/platform.ts";
import { formatObject } from "../format/inspect.ts";
import type { Invocation } from "../invocation.ts";
import { textOption } from "../options.ts";
import { printOut } from "../output.ts";
import { API_VERSION, MIN_API_VERSION, VERSION } from "../version.ts";

/**
 * `dugout version`: Docker's two halves, which here are one program. Editors ask for `{{.Server.Version}}`.
 */
export function runVersion({ options }: Invocation): number {
  const object = describeVersion({ kernel: release(), runtime: describeRuntime() });
  printOut(formatObject(object, textOption(options, "format"), () => describeForPeople(object)));
  return 0;
}

interface VersionObject {
  Client: Readonly<Record<string, string>>;
  Server: Readonly<Record<string, unknown>> & { Platform: { Name: string } };
}

/** The versions in the shape of docker's JSON. */
export function describeVersion({ kernel, runtime }: { kernel: string; runtime: string }): VersionObject {
  const { os, architecture } = hostPlatform();
  const common = { Os: os, Arch: architecture };
  return {
    Client: {
      Version: VERSION,
      ApiVersion: API_VERSION,
      DefaultAPIVersion: API_VERSION,
      Runtime: runtime,
      ...common,
      Context: "default",
    },
    Server: {
      Platform: { Name: "dugout" },
      Components: [{
        Name: "Engine",
        Version: VERSION,
        Details: {
          ApiVersion: API_VERSION,
          MinAPIVersion: MIN_API_VERSION,
          KernelVersion: kernel,
          Runtime: runtime,
          ...common,
        },
      }],
      Version: VERSION,
      ApiVersion: API_VERSION,
      MinAPIVersion: MIN_API_VERSION,
      ...common,
      KernelVersion: kernel,
    },
  };
}

/** What runs the JavaScript, as `bun 1.4.5` or `deno 2.9.6`. */
function describeRuntime(): string {
  const { bun, deno } = process.versions as Record<string, string | undefined>;
  return bun !== undefined ? `bun ${bun}` : `deno ${deno ?? "unknown"}`;
}

function describeForPeople({ Client, Server }: VersionObject): string {
  return [
    "Client:",
    ` Version:           ${VERSION}`,
    ` API version:       ${API_VERSION}`,
    ` Runtime:           ${Client["Runtime"]}`,
    ` OS/Arch:           ${Client["Os"]}/${Client["Arch"]}`,
    ` Context:           default`,
    "",
    `Server: ${Server.Platform.Name}`,
    " Engine:",
    `  Version:          ${VERSION}`,
    `  API version:      ${API_VERSION} (minimum version ${MIN_API_VERSION})`,
    `  OS/Arch:          ${Client["Os"]}/${Client["Arch"]} (${HOST_ARCH})`,
    `  Kernel Version:   ${Server["KernelVersion"]}`,
    "",
  ].join("\n");
}
