/**
 * The entry point of the binary and of `deno run`. Loads nothing but the way to the command; a `run` that was run before is
 * asked for first of all, since reading options costs a twentieth of its time.
 */
async function main(argv: readonly string[]): Promise<number> {
  // a copy or a hard link of that name is the OCI runtime, for what names a runtime by its path alone
  if (process.execPath.endsWith(`/${RUNTIME_NAME}`)) return await runRuntimeAs(RUNTIME_NAME, argv);
  if (argv[0] === "run") {
    const { runKnown } = await import("./known_run.ts");
    const exitCode = await runKnown(argv.slice(1), { logLevel: "info", debug: false });
    if (exitCode !== undefined) return exitCode;
  }
  if (argv[0] === "runtime") return await runRuntimeAs("dugout runtime", argv.slice(1));
  return await (await import("./cli.ts")).runCli(argv);
}

const RUNTIME_NAME = "dugout-runtime";

async function runRuntimeAs(program: string, argv: readonly string[]): Promise<number> {
  return await (await import("./runtime/main.ts")).runRuntime(program, argv);
}

main(process.argv.slice(2)).then((exitCode) => process.exit(exitCode));
