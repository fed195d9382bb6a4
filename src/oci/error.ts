/** What a `DugoutError` may carry beside its message. */
export interface DugoutErrorOptions {
  /** What the user can do about it, as one line. */
  hint?: string | undefined;
  /** The exit code of the command; 125 is Docker's for "the engine failed". */
  exitCode?: number | undefined;
  cause?: unknown;
}

/**
 * An error that is meant for the user: the message names the action and quotes the values, `code` is for programs (the CLI, the API and
 * `mod.ts` tell errors apart by it and never by the words), `hint` says what to do.
 */
export class DugoutError extends Error {
  override readonly name: string = "DugoutError";
  readonly code: string;
  readonly exitCode: number;
  declare readonly hint?: string;

  /**
   * @param code Upper-case words with underscores, such as "REFERENCE_INVALID".
   * @param message Action first, values quoted (`quote` of text.ts), no full stop at the end.
   */
  constructor(code: string, message: string, options: DugoutErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exitCode = options.exitCode ?? 125;
    if (options.hint !== undefined) this.hint = options.hint;
  }
}
