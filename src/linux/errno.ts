/**
 * Error numbers and the error that carries them.
 *
 * @module
 */

// asm-generic/errno-base.h and errno.h; the same on x86_64 and aarch64
const NAMES = `
EPERM 1
ENOENT 2
ESRCH 3
EINTR 4
EIO 5
ENXIO 6
E2BIG 7
ENOEXEC 8
EBADF 9
ECHILD 10
EAGAIN 11
ENOMEM 12
EACCES 13
EFAULT 14
ENOTBLK 15
EBUSY 16
EEXIST 17
EXDEV 18
ENODEV 19
ENOTDIR 20
EISDIR 21
EINVAL 22
ENFILE 23
EMFILE 24
ENOTTY 25
ETXTBSY 26
EFBIG 27
ENOSPC 28
ESPIPE 29
EROFS 30
EMLINK 31
EPIPE 32
EDOM 33
ERANGE 34
EDEADLK 35
ENAMETOOLONG 36
ENOLCK 37
ENOSYS 38
ENOTEMPTY 39
ELOOP 40
ENOMSG 42
EIDRM 43
ECHRNG 44
EL2NSYNC 45
EL3HLT 46
EL3RST 47
ELNRNG 48
EUNATCH 49
ENOCSI 50
EL2HLT 51
EBADE 52
EBADR 53
EXFULL 54
ENOANO 55
EBADRQC 56
EBADSLT 57
EBFONT 59
ENOSTR 60
ENODATA 61
ETIME 62
ENOSR 63
ENONET 64
ENOPKG 65
EREMOTE 66
ENOLINK 67
EADV 68
ESRMNT 69
ECOMM 70
EPROTO 71
EMULTIHOP 72
EDOTDOT 73
EBADMSG 74
EOVERFLOW 75
ENOTUNIQ 76
EBADFD 77
EREMCHG 78
ELIBACC 79
ELIBBAD 80
ELIBSCN 81
ELIBMAX 82
ELIBEXEC 83
EILSEQ 84
ERESTART 85
ESTRPIPE 86
EUSERS 87
ENOTSOCK 88
EDESTADDRREQ 89
EMSGSIZE 90
EPROTOTYPE 91
ENOPROTOOPT 92
EPROTONOSUPPORT 93
ESOCKTNOSUPPORT 94
EOPNOTSUPP 95
EPFNOSUPPORT 96
EAFNOSUPPORT 97
EADDRINUSE 98
EADDRNOTAVAIL 99
ENETDOWN 100
ENETUNREACH 101
ENETRESET 102
ECONNABORTED 103
ECONNRESET 104
ENOBUFS 105
EISCONN 106
ENOTCONN 107
ESHUTDOWN 108
ETOOMANYREFS 109
ETIMEDOUT 110
ECONNREFUSED 111
EHOSTDOWN 112
EHOSTUNREACH 113
EALREADY 114
EINPROGRESS 115
ESTALE 116
EUCLEAN 117
ENOTNAM 118
ENAVAIL 119
EISNAM 120
EREMOTEIO 121
EDQUOT 122
ENOMEDIUM 123
EMEDIUMTYPE 124
ECANCELED 125
ENOKEY 126
EKEYEXPIRED 127
EKEYREVOKED 128
EKEYREJECTED 129
EOWNERDEAD 130
ENOTRECOVERABLE 131
ERFKILL 132
EHWPOISON 133
`;

// what people know from their C library (glibc's strerror), for the errors that occur
const TEXTS: Readonly<Record<string, string>> = {
  E2BIG: "Argument list too long",
  EACCES: "Permission denied",
  EAGAIN: "Resource temporarily unavailable",
  EBADF: "Bad file descriptor",
  EBUSY: "Device or resource busy",
  EDQUOT: "Disk quota exceeded",
  EEXIST: "File exists",
  EFAULT: "Bad address",
  EFBIG: "File too large",
  EINVAL: "Invalid argument",
  EIO: "Input/output error",
  EISDIR: "Is a directory",
  ELOOP: "Too many levels of symbolic links",
  EMFILE: "Too many open files",
  EMLINK: "Too many links",
  ENAMETOOLONG: "File name too long",
  ENFILE: "Too many open files in system",
  ENODEV: "No such device",
  ENOENT: "No such file or directory",
  ENOEXEC: "Exec format error",
  ENOMEM: "Cannot allocate memory",
  ENOSPC: "No space left on device",
  ENOSYS: "Function not implemented",
  ENOTDIR: "Not a directory",
  ENOTEMPTY: "Directory not empty",
  ENOTSUP: "Operation not supported",
  EOPNOTSUPP: "Operation not supported",
  EPERM: "Operation not permitted",
  EPIPE: "Broken pipe",
  EROFS: "Read-only file system",
  ESRCH: "No such process",
  ESTALE: "Stale file handle",
  ETXTBSY: "Text file busy",
  EUSERS: "Too many users",
  EXDEV: "Invalid cross-device link",
};

let names: string[] | undefined;

/** The name of an error number: `errnoName(2)` is `ENOENT`; one that is not known is `errno 4095`. */
export function errnoName(errno: number): string {
  if (names === undefined) {
    names = [];
    for (const line of NAMES.trim().split("\n")) {
      const [name, number] = line.split(" ");
      names[Number(number)] ??= name!;
    }
  }
  return names[errno] ?? `errno ${errno}`;
}

/** A sentence for an error's name: `errnoText("ENOENT")` is "No such file or directory". */
export function errnoText(code: string): string {
  return TEXTS[code] ?? code;
}

/** What {@linkcode OsError} holds. */
export interface OsErrorFields {
  /** What was tried: `mount overlay`, `openat2`. */
  call: string;
  /** On what: a path, an fd, an id. */
  object: string;
  /** The error's name, `EINVAL`. */
  code: string;
  /** What it means here and what to do, where that is known. */
  hint?: string;
}

/** The kernel refused something: which call, on which object, with which error, and what to do about it. */
export class OsError extends Error {
  override readonly name = "OsError";
  readonly call: string;
  readonly object: string;
  readonly code: string;
  readonly hint?: string;

  constructor(fields: OsErrorFields) {
    super(`${fields.call} ${fields.object}: ${fields.code}: ${errnoText(fields.code)}`);
    this.call = fields.call;
    this.object = fields.object;
    this.code = fields.code;
    if (fields.hint !== undefined) this.hint = fields.hint;
  }
}
