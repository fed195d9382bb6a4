/** A field of a header block: where it begins and how many bytes it has. */
export type Field = readonly [offset: number, length: number];

/** Archives are made of blocks of this size; content is padded to it with zeros. */
export const BLOCK = 512;

/**
 * The header block, shared by reader, writer and printer: POSIX ustar (pax(1), "ustar Interchange Format"), and the
 * fields that GNU tar puts into the same bytes (tar.info, "Basic Tar Format").
 */
export const HEADER = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  userName: [265, 32],
  groupName: [297, 32],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
  prefix: [345, 155],
} as const satisfies Record<string, Field>;

/** What GNU's "oldgnu" format has in place of the prefix, for entries of type `S`. */
export const GNU_SPARSE = {
  /** Four pairs of offset and length, 12 bytes each number. */
  map: [386, 96],
  isExtended: [482, 1],
  realSize: [483, 12],
} as const satisfies Record<string, Field>;

/** A block that continues the map of a type `S` entry: 21 pairs, then whether another follows. */
export const GNU_SPARSE_MORE = {
  map: [0, 504],
  isExtended: [504, 1],
} as const satisfies Record<string, Field>;

/** star's header ends in `tar\0` here, and its prefix has only 131 bytes. */
export const STAR = {
  prefix: [345, 131],
  trailer: [508, 4],
} as const satisfies Record<string, Field>;

/** Values of the type field. */
export const TYPE = {
  fileV7: 0,
  file: 0x30, // '0'
  hardLink: 0x31,
  symlink: 0x32,
  char: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
  contiguous: 0x37, // '7': a file, where nobody has contiguous files
  paxGlobal: 0x67, // 'g'
  pax: 0x78, // 'x'
  paxSolaris: 0x58, // 'X': Solaris' first form of 'x'
  gnuLongLink: 0x4b, // 'K'
  gnuLongName: 0x4c, // 'L'
  gnuSparse: 0x53, // 'S'
  gnuVolume: 0x56, // 'V': the label of a tape
} as const;

/** Magic and version together, as ustar and GNU spell them. */
export const MAGIC = { ustar: "ustar\0", gnu: "ustar  \0" } as const;
