/** The most that is read or believed of outside documents; sizes in decoded bytes. */
export const LIMITS = {
  manifestBytes: 4 * 1024 * 1024,
  configBytes: 8 * 1024 * 1024,
  tokenBytes: 1024 * 1024,
  errorBytes: 1024 * 1024,
  jsonDepth: 100,
  indexDepth: 3,
  layers: 1000,
  indexDescriptors: 10_000,
  history: 10_000,
  tagPages: 1000,
  tagPageBytes: 4 * 1024 * 1024,
  /** Environment variables, ports, volumes, labels … of an image config, each. */
  configEntries: 100_000,
} as const;
