import { homedir } from "node:os";
import { openRegistryAccess, type RegistryAccess } from "#image/registry/access.ts";
import { warn } from "./context.ts";
import type { GlobalOptions } from "./invocation.ts";

/** Reads this user's settings about registries and makes the client that all commands use. Dispose of it. */
export async function openRegistries(global: GlobalOptions, tlsVerify: boolean | undefined): Promise<RegistryAccess> {
  const places = { env: process.env, home: homedir(), configDir: global.config };
  return await openRegistryAccess(places, { tlsVerify, notice: (line) => warn(global, line) });
}
