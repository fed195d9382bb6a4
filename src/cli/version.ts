/** This version; a test compares it with package.json, which cannot be read from inside the binary. */
export const VERSION = "0.1.0";

/** The newest Docker API whose shapes we print (`version`, `info`, `inspect`). */
export const API_VERSION = "1.48";
export const MIN_API_VERSION = "1.24";
