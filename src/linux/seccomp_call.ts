/** Operations and flags of seccomp(2), and the struct that it takes: linux/seccomp.h, linux/filter.h. */
export const SECCOMP_SET_MODE_STRICT = 0;
export const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_GET_ACTION_AVAIL = 2;

export const SECCOMP_FILTER_FLAG_TSYNC = 1;
export const SECCOMP_FILTER_FLAG_LOG = 2;
export const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;
export const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;

/** `struct sock_fprog` on 64 bits: a u16, and the address of `struct sock_filter[]`. */
export const SOCK_FPROG = { length: 0, filter: 8, SIZE: 16 } as const;
