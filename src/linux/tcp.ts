/** Options of TCP sockets: tcp(7), linux/tcp.h. */
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
