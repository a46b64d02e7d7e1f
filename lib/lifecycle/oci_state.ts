import { shownStatus } from "./paused.ts";
import { type ContainerRecord, type ContainerState, isLive } from "./state.ts";

/** A container's state, as the runtime-spec has it, and `paused`, as runc. runtime.md, "State" */
export function ociState(state: ContainerState): Record<string, unknown> {
  const { record, status, process } = state;
  return stateDocument(record, shownStatus(state), isLive(status) ? process?.init.pid : undefined);
}

/** The same, of a container whose status is known. */
export function stateDocument(
  record: Omit<ContainerRecord, "version">,
  status: string,
  pid?: number,
): Record<string, unknown> {
  return {
    ociVersion: record.spec.ociVersion,
    id: record.id,
    status,
    ...pid === undefined ? {} : { pid },
    bundle: record.bundle,
    rootfs: record.spec.root?.path ?? "",
    created: record.created,
    ...(record.spec.annotations ? { annotations: record.spec.annotations } : {}),
  };
}
