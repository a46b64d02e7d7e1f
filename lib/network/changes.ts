// What people do to networks, and to containers that run.
export { connectNetwork, disconnectNetwork } from "./connect.ts";
export { makeNetwork, pruneNetworks, removeNetwork } from "./remove.ts";
