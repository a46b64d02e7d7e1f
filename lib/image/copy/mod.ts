// Files between this host's tree and a container's, either of which may be hostile to the other.
export { copyFiles, type CopyOptions, type End, packFiles, unpackFiles } from "./copy.ts";
export { Place, type PlaceOptions } from "./place.ts";
