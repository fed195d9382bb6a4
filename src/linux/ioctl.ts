/** Requests of ioctl(2) on terminals, sockets and tap devices: asm-generic/ioctls.h, linux/sockios.h, linux/if_tun.h. */
export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
export const TCSETSW = 0x5403;
export const TCSETSF = 0x5404;
export const TIOCSCTTY = 0x540e;
export const TIOCGPGRP = 0x540f;
export const TIOCSPGRP = 0x5410;
export const TIOCSTI = 0x5412;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCLINUX = 0x541c;
export const TIOCNOTTY = 0x5422;
export const TIOCSPTLCK = 0x40045431;
export const TIOCGPTN = 0x80045430;
export const TIOCGPTPEER = 0x5441; // Linux 4.13
export const FIONREAD = 0x541b;
export const FIONBIO = 0x5421;
export const FICLONE = 0x40049409;

export const NS_GET_USERNS = 0xb701;

export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;

export const TUNSETIFF = 0x400454ca;
export const TUNSETOFFLOAD = 0x400454d0;

export const IFF_TAP = 0x0002;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;

export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;

/** `struct winsize` (tty_ioctl(4)): u16 each. */
export const WINSIZE = { rows: 0, columns: 2, xPixels: 4, yPixels: 6, SIZE: 8 } as const;

/** `struct ifreq` (netdevice(7)), as far as the requests above use it: a name of 16 bytes and u16 flags. */
export const IFREQ = { name: 0, flags: 16, SIZE: 40 } as const;
