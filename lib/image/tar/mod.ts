// Tar as the world writes it, read and written: no files and no system calls here.
export { bytesOf, type ByteString, byteString, byteStringOf, quoted, textOf } from "./bytes.ts";
export {
  NO_XATTRS,
  type TarEntry,
  type TarHandler,
  type TarLimits,
  type TarTime,
  type TarType,
} from "./entry.ts";
export { TarReader } from "./reader.ts";
export { TAR_END, tarHeader, tarPadding } from "./writer.ts";
