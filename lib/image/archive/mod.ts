// Images in files: what `docker save` writes and OCI layouts, in tar archives, as sources; and writing them.
export { type ArchiveFiles, tarFiles } from "./files.ts";
export { refuseForeign } from "./foreign.ts";
export { type Archive, chunksOf, keep, openArchive, openFile } from "./open.ts";
export { type ArchiveImage, imagesOf } from "./read.ts";
export { type ArchiveFormat, type SavedImage, writeArchive } from "./write.ts";
