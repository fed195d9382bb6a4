import type { CommandDeclaration } from "./declare/types.ts";
import type { CommandFunction } from "./invocation.ts";
import { notYetError } from "./usage_error.ts";

/** From a command's usual name to the code that runs it, loaded when it is wanted. */
const LOADERS: ReadonlyMap<string, () => Promise<CommandFunction>> = new Map<string, () => Promise<CommandFunction>>([
  ["attach", async () => (await import("./commands/life.ts")).runAttach],
  ["check", async () => (await import("./commands/check.ts")).runCheck],
  ["batch cancel", async () => (await import("./commands/batch.ts")).runBatchCancel],
  ["batch logs", async () => (await import("./commands/batch.ts")).runBatchLogs],
  ["batch ls", async () => (await import("./commands/batch.ts")).runBatchList],
  ["batch script", async () => (await import("./commands/batch.ts")).runBatchScript],
  ["cp", async () => (await import("./commands/cp.ts")).runCopy],
  ["commit", async () => (await import("./commands/container_files.ts")).runCommit],
  ["diff", async () => (await import("./commands/container_files.ts")).runDiff],
  ["export", async () => (await import("./commands/container_files.ts")).runExport],
  ["mount", async () => (await import("./commands/mount.ts")).runMount],
  ["umount", async () => (await import("./commands/mount.ts")).runUnmount],
  ["completion", async () => (await import("./commands/completion.ts")).runCompletion],
  ["container exists", async () => (await import("./commands/exists.ts")).runContainerExists],
  ["container inspect", async () => (await import("./commands/inspect.ts")).runContainerInspect],
  ["container prune", async () => (await import("./commands/containers.ts")).runPruneContainers],
  ["events", async () => (await import("./commands/events.ts")).runEvents],
  ["create", async () => (await import("./commands/life.ts")).runCreate],
  ["exec", async () => (await import("./commands/exec.ts")).runExec],
  ["generate systemd", async () => (await import("./commands/generate.ts")).runGenerateSystemd],
  ["healthcheck run", async () => (await import("./commands/healthcheck.ts")).runHealthcheck],
  ["history", async () => (await import("./commands/history.ts")).runHistory],
  ["image exists", async () => (await import("./commands/exists.ts")).runImageExists],
  ["image inspect", async () => (await import("./commands/inspect.ts")).runImageInspect],
  ["image prune", async () => (await import("./commands/remove_images.ts")).runPruneImages],
  ["images", async () => (await import("./commands/images.ts")).runImages],
  ["import", async () => (await import("./commands/archives.ts")).runImport],
  ["info", async () => (await import("./commands/info.ts")).runInfo],
  ["inspect", async () => (await import("./commands/inspect.ts")).runInspect],
  ["kill", async () => (await import("./commands/containers.ts")).runKill],
  ["load", async () => (await import("./commands/archives.ts")).runLoad],
  ["logs", async () => (await import("./commands/logs.ts")).runLogs],
  ["login", async () => (await import("./commands/login.ts")).runLogin],
  ["logout", async () => (await import("./commands/login.ts")).runLogout],
  ["pause", async () => (await import("./commands/watch.ts")).runPause],
  ["port", async () => (await import("./commands/watch.ts")).runPort],
  ["ps", async () => (await import("./commands/ps.ts")).runPs],
  ["pull", async () => (await import("./commands/pull.ts")).runPull],
  ["push", async () => (await import("./commands/push.ts")).runPush],
  ["quadlet", async () => (await import("./commands/quadlet.ts")).runQuadlet],
  ["rename", async () => (await import("./commands/containers.ts")).runRename],
  ["restart", async () => (await import("./commands/life.ts")).runRestart],
  ["rm", async () => (await import("./commands/containers.ts")).runRemoveContainers],
  ["rmi", async () => (await import("./commands/remove_images.ts")).runRemoveImages],
  ["run", async () => (await import("./commands/run.ts")).runRun],
  ["runtime", async () => (await import("./runtime/main.ts")).runDeclaredRuntime],
  ["save", async () => (await import("./commands/archives.ts")).runSave],
  ["search", async () => (await import("./commands/search.ts")).runSearch],
  ["start", async () => (await import("./commands/life.ts")).runStart],
  ["stats", async () => (await import("./commands/watch.ts")).runStats],
  ["stop", async () => (await import("./commands/containers.ts")).runStop],
  ["top", async () => (await import("./commands/watch.ts")).runTop],
  ["unpause", async () => (await import("./commands/watch.ts")).runPause],
  ["unshare", async () => (await import("./commands/unshare.ts")).runUnshare],
  ["update", async () => (await import("./commands/update.ts")).runUpdate],
  ["version", async () => (await import("./commands/version.ts")).runVersion],
  ["system check", async () => (await import("./commands/check_store.ts")).runCheckStore],
  ["system df", async () => (await import("./commands/disk_usage.ts")).runDiskUsage],
  ["system prune", async () => (await import("./commands/prune_system.ts")).runPruneSystem],
  ["system reset", async () => (await import("./commands/reset.ts")).runReset],
  ["tag", async () => (await import("./commands/tag.ts")).runTag],
  ["network connect", async () => (await import("./commands/networks.ts")).runConnectNetwork],
  ["network create", async () => (await import("./commands/networks.ts")).runCreateNetwork],
  ["network disconnect", async () => (await import("./commands/networks.ts")).runDisconnectNetwork],
  ["network exists", async () => (await import("./commands/networks.ts")).runNetworkExists],
  ["network inspect", async () => (await import("./commands/networks.ts")).runInspectNetworks],
  ["network ls", async () => (await import("./commands/networks.ts")).runListNetworks],
  ["network prune", async () => (await import("./commands/networks.ts")).runPruneNetworks],
  ["network rm", async () => (await import("./commands/networks.ts")).runRemoveNetworks],
  ["volume exists", async () => (await import("./commands/exists.ts")).runVolumeExists],
  ["volume create", async () => (await import("./commands/volumes.ts")).runCreateVolume],
  ["volume inspect", async () => (await import("./commands/volumes.ts")).runInspectVolumes],
  ["volume ls", async () => (await import("./commands/volumes.ts")).runListVolumes],
  ["volume prune", async () => (await import("./commands/volumes.ts")).runPruneVolumes],
  ["volume rm", async () => (await import("./commands/volumes.ts")).runRemoveVolumes],
  ["wait", async () => (await import("./commands/containers.ts")).runWait],
]);

/**
 * Loads the function of a command.
 * @throws {DugoutError} NOT_YET, for a command that is declared only.
 */
export async function findCommand(command: CommandDeclaration): Promise<CommandFunction> {
  const name = command.names[0] ?? "";
  const load = LOADERS.get(name);
  if (load === undefined) throw notYetError(`'dugout ${name}'`);
  return await load();
}
