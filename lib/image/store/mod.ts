// The image store: an OCI image layout on disk, and beside it what makes it crate's own (unpacked layers,
// what is on its way, what is in use). See layout.ts for where things lie, lock.ts for who waits for whom.
export type { ContainerFiles } from "./containers.ts";
export type { ReadyFiles } from "./ready.ts";
export type { Collected } from "./garbage.ts";
export { contentOf, type Image, type ImageContent } from "./images.ts";
export type { HistoryLine, ImageInspection } from "./inspect.ts";
export type { Layer, NewLayer } from "./layers.ts";
export type { Lease } from "./leases.ts";
export { canonicalName, familiar, type Found } from "./lookup.ts";
export type { Partial } from "./partial.ts";
export type { Pin } from "./pins.ts";
export type { Removed } from "./remove.ts";
export type { StoreSink } from "./sink.ts";
export { type Choice, type Container, type OpenOptions, openStore, type Store } from "./store.ts";
export type { DiskUsage, UsageRow } from "./usage.ts";
export type { Fill, VolumeInfo, VolumeUse } from "./volumes.ts";
