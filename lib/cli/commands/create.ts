import { end } from "../../../ffi/mod.ts";
import { validateId } from "../../spec/mod.ts";
import { readBundle } from "../bundle.ts";
import { createForEngine } from "../engine.ts";
import { readConfig } from "../globals.ts";
import type { CreateCall } from "../words/mod.ts";
import { createRequest } from "./create_request.ts";

export { createTable as table } from "../words/mod.ts";

/** `crate create`. */
export default async function create(call: CreateCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  const id = validateId(positionals[0]!);
  const bundle = readBundle(options.bundle ?? ".", options.config);
  const request = createRequest(call, root, bundle.text);
  await createForEngine({ id, root, bundle, options, globals, request });
  return end(0);
}
