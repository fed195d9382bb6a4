/**
 * Constants and structs of landlock(7): linux/landlock.h.
 *
 * @module
 */

/** Asks landlock_create_ruleset(2) for the ABI's version instead of a ruleset. */
export const LANDLOCK_CREATE_RULESET_VERSION = 1;

export const LANDLOCK_RULE_PATH_BENEATH = 1;
export const LANDLOCK_RULE_NET_PORT = 2;

// rights on files; ABI 1 (Linux 5.13) unless told
export const LANDLOCK_ACCESS_FS_EXECUTE = 1 << 0;
export const LANDLOCK_ACCESS_FS_WRITE_FILE = 1 << 1;
export const LANDLOCK_ACCESS_FS_READ_FILE = 1 << 2;
export const LANDLOCK_ACCESS_FS_READ_DIR = 1 << 3;
export const LANDLOCK_ACCESS_FS_REMOVE_DIR = 1 << 4;
export const LANDLOCK_ACCESS_FS_REMOVE_FILE = 1 << 5;
export const LANDLOCK_ACCESS_FS_MAKE_CHAR = 1 << 6;
export const LANDLOCK_ACCESS_FS_MAKE_DIR = 1 << 7;
export const LANDLOCK_ACCESS_FS_MAKE_REG = 1 << 8;
export const LANDLOCK_ACCESS_FS_MAKE_SOCK = 1 << 9;
export const LANDLOCK_ACCESS_FS_MAKE_FIFO = 1 << 10;
export const LANDLOCK_ACCESS_FS_MAKE_BLOCK = 1 << 11;
export const LANDLOCK_ACCESS_FS_MAKE_SYM = 1 << 12;
export const LANDLOCK_ACCESS_FS_REFER = 1 << 13; // ABI 2, Linux 5.19
export const LANDLOCK_ACCESS_FS_TRUNCATE = 1 << 14; // ABI 3, Linux 6.2
export const LANDLOCK_ACCESS_FS_IOCTL_DEV = 1 << 15; // ABI 5, Linux 6.10

// ABI 4, Linux 6.7
export const LANDLOCK_ACCESS_NET_BIND_TCP = 1 << 0;
export const LANDLOCK_ACCESS_NET_CONNECT_TCP = 1 << 1;

// ABI 6, Linux 6.12
export const LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0;
export const LANDLOCK_SCOPE_SIGNAL = 1 << 1;

/** `struct landlock_ruleset_attr`: u64 each; `net` came with ABI 4, `scoped` with ABI 6. */
export const LANDLOCK_RULESET_ATTR = { fs: 0, net: 8, scoped: 16, SIZE: 24 } as const;

/** `struct landlock_path_beneath_attr`, packed: a u64 and an s32. */
export const LANDLOCK_PATH_BENEATH_ATTR = { allowedAccess: 0, parentFd: 8, SIZE: 12 } as const;
