import { runCli } from "./cli.ts";

/** The entry point of the binary and of `deno run`. Loads nothing but the way to the command. */
runCli(process.argv.slice(2)).then((exitCode) => process.exit(exitCode));
