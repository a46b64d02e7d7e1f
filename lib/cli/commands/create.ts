import { end } from "../../../ffi/mod.ts";
import { offerCreate } from "../../lifecycle/mod.ts";
import { validateId } from "../../spec/mod.ts";
import { readBundle } from "../bundle.ts";
import { createForEngine } from "../engine.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import type { CreateCall } from "../words/mod.ts";
import { createRequest } from "./create_request.ts";

export { createTable as table } from "../words/mod.ts";

/** The container is created: it must not end of this. */
function notReady(error: unknown): void {
  const why = error instanceof Error ? error.message : error;
  log("debug", `the next creation is not ready: ${why}`);
}

/** `crate create`. */
export default async function create(call: CreateCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  const id = validateId(positionals[0]!);
  const bundle = readBundle(options.bundle ?? ".", options.config);
  const request = createRequest(call, root, bundle.text);
  const made = await createForEngine({ id, root, bundle, options, globals });
  if (request !== undefined && made !== undefined) {
    await offerCreate(request, made).catch(notReady);
  }
  return end(0);
}
