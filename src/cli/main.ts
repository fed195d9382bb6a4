/**
 * The entry point of the binary and of `deno run`. Loads nothing but the way to the command; a `run` that was run before is
 * asked for first of all, since reading options costs a twentieth of its time.
 */
async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === "run") {
    const { runKnown } = await import("./known_run.ts");
    const exitCode = await runKnown(argv.slice(1), { logLevel: "info", debug: false });
    if (exitCode !== undefined) return exitCode;
  }
  return await (await import("./cli.ts")).runCli(argv);
}

main(process.argv.slice(2)).then((exitCode) => process.exit(exitCode));
