/** Told with a wait status: that the monitor has removed the container. A bit that no wait status has. */
export const REMOVED_FLAG: number = 1 << 24;
