/** The holder's descriptor of its record. */
export const RECORD_FD = 7;
