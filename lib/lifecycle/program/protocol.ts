// What a program and the process that started it say to each other.

/** Descriptors that every program of a container starts with, after its standard three. */
export const CONTROL = 3;
export const REPORT = 4;
/** The v2 control group, when there is one. */
export const CGROUP = 5;

/**
 * The report pipe carries records of 16 bytes, two little-endian 64-bit numbers. A failure is the
 * failing step's address and its result, as the interpreter's header has them; the init's pid comes
 * as `{0, pid}`, and after it that the init waits at a stage as `{0, stage}`. The pipe ends when the init
 * has executed the user's program.
 */
export const RECORD_SIZE = 16;

/** The init waits for the hooks that come before the container's root is its root. */
export const STAGE_HOOKS = 1;
/** The init waits for its container to be recorded as created; then it waits on its start socket. */
export const STAGE_CREATED = 2;

/** The init wants what it is to tell the listener of its seccomp filter, in place of a byte. */
export const STAGE_LISTENER = 4;
/** How much of it there may be. */
export const MAX_TOLD = 16384;

/** A directory is to be copied into another; two records follow with the init's descriptors of them. */
export const STAGE_COPY = 3;

/**
 * The control socket (SOCK_SEQPACKET). To the init: one byte, "go on". From the init: the console's
 * descriptor. From the monitor: the `siginfo` of the container's end, SIGINFO_SIZE bytes. When the
 * starting side closes it before the byte, the init ends.
 */
export const SIGINFO_SIZE = 32;

/** The record in the exit file: siginfo, then a timespec. */
export const EXIT_RECORD_SIZE = SIGINFO_SIZE + 16;

/** What a process exits with when a step of its program failed. */
export const SETUP_FAILED = 125;

/** What whoever started a container is told when its monitor has ended before the user's program could be executed. */
export const MONITOR_KILLED = "the container's monitor was killed while it was being started";

// How labels begin of steps whose failure is told in other words.

/** What the label of every step begins with whose failure means: the user's program did not start. */
export const EXECUTE = "execute ";
/** The label of the steps that lay id-mapped layers over each other. */
export const MAPPED_LAYERS = "mount an overlay of id-mapped layers as the root";
/** What the label of a step begins with that maps a mount's ids. */
export const MAP_IDS = "map the ids of ";
