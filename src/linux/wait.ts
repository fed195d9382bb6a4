/** Options of wait4(2) and waitid(2), and what waitid waits for: linux/wait.h. */
export const WNOHANG = 0x00000001;
export const WUNTRACED = 0x00000002;
export const WEXITED = 0x00000004;
export const WCONTINUED = 0x00000008;
export const WNOWAIT = 0x01000000;
/** All children, also those that announce their end by another signal than SIGCHLD. */
export const __WALL = 0x40000000;

export const P_ALL = 0;
export const P_PID = 1;
export const P_PGID = 2;
export const P_PIDFD = 3; // Linux 5.4

/** How a child ended, in `si_code` of waitid's answer: by itself (sigaction(2)). */
export const CLD_EXITED = 1;
