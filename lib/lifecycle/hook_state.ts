import type { Spec } from "../spec/mod.ts";

/** The container that hooks are told of. */
export interface Hooked {
  readonly id: string;
  readonly spec: Spec;
  readonly bundle: string;
  /** Where an unlinked file may stand. */
  readonly directory: string;
}

/** The state that a hook reads from its standard input. runtime.md, "State" */
export function hookState({ id, spec, bundle }: Hooked, status: string, pid?: number): string {
  return JSON.stringify({
    ociVersion: spec.ociVersion,
    id,
    status,
    ...pid === undefined ? {} : { pid },
    bundle,
    ...spec.annotations === undefined ? {} : { annotations: spec.annotations },
  });
}
