/** Events of poll(2) and ppoll(2): asm-generic/poll.h. */
export const POLLIN = 0x0001;
export const POLLPRI = 0x0002;
export const POLLOUT = 0x0004;
export const POLLERR = 0x0008;
export const POLLHUP = 0x0010;
export const POLLNVAL = 0x0020;
export const POLLRDHUP = 0x2000;

/** `struct pollfd`: an s32 and two s16. */
export const POLLFD = { fd: 0, events: 4, revents: 6, SIZE: 8 } as const;
