// Checkpoint and restore, by criu: its RPC (https://criu.org/RPC), and what of a container lies outside of it.
export { checkpoint, type CheckpointOptions } from "./checkpoint.ts";
export { restore, type RestoreOptions } from "./restore.ts";
