// What people do to networks, and to containers that run.
export { connectNetwork, disconnectNetwork } from "./connect.ts";
export { renameAttachment } from "./rename.ts";
export { makeNetwork, pruneNetworks, removeNetwork } from "./remove.ts";
