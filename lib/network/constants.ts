// Constants of sockets, named as the headers name them.

// bits/socket.h
export const AF_INET6 = 10;
// asm-generic/socket.h
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
// linux/in.h, linux/in6.h
export const IPPROTO_IPV6 = 41;
export const IPPROTO_SCTP = 132;
export const IPV6_V6ONLY = 26;
