import { shownStatus } from "./pause.ts";
import { type ContainerState, isLive } from "./state.ts";

/** A container's state, as the runtime-spec has it, and `paused`, as runc. runtime.md, "State" */
export function ociState(state: ContainerState): Record<string, unknown> {
  const { record, status, process } = state;
  return {
    ociVersion: record.spec.ociVersion,
    id: record.id,
    status: shownStatus(state),
    ...(isLive(status) && process ? { pid: process.init.pid } : {}),
    bundle: record.bundle,
    rootfs: record.spec.root?.path ?? "",
    created: record.created,
    ...(record.spec.annotations ? { annotations: record.spec.annotations } : {}),
  };
}
