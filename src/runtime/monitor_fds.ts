/**
 * Descriptors of a monitor that plays a tape of its own. They keep their numbers as long as it lives: commands that attach
 * to a container take copies by pidfd_getfd(2).
 *
 * @module
 */

/** The container's directory in the data directory: its log, and the exit record where the runtime directory is gone. */
export const CONTAINER_FD = 16;
/** The log, for appending. */
export const LOG_FD = 17;
/** The container's output, to be read; with a terminal there is none of these two. */
export const STDOUT_FD = 18;
export const STDERR_FD = 19;
/** What goes into the container: the writing end of its stdin, or the terminal's master. */
export const INPUT_FD = 20;
/** The terminal's other side, so that it lives as long as the container, though the program closes it (C-136). */
export const SLAVE_FD = 21;
/** A pidfd of the container's first process. */
export const FIRST_PROCESS_FD = 22;
/** A pidfd of the copier of stdin, where there is one. */
export const COPIER_FD = 23;
/** The player, and the tape that it is to play. */
export const PLAYER_FD = 24;
export const MONITOR_TAPE_FD = 25;
/** What is to be done by a worker at the end, as JSON; an empty file: nothing. */
export const LAST_WORK_FD = 26;
/** The shared network namespace of a container in networks: it stays while anybody needs it, though its holder be killed. */
export const NETWORK_FD = 27;
/** The monitor's end of the socket pair over which the terminal comes. */
export const CONSOLE_PEER_FD = 12;
