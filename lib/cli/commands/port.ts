import { CrateError } from "../../errors.ts";
import { findId, foreignOf, readState } from "../../lifecycle/mod.ts";
import {
  attachmentOf,
  formatHost,
  formatPort,
  networkPlaces,
  parseExposed,
} from "../../network/mod.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import type { PortCall } from "../words/mod.ts";

/** `crate port`. */
export default async function port({ positionals, globals }: PortCall): Promise<number> {
  const config = await readConfig(globals);
  const [word, wanted] = positionals;
  const id = findId(config.root.value, word!);
  const state = readState(config.root.value, id);
  const foreign = state?.status === "running"
    ? await foreignOf(config.root.value, state.record)
    : undefined;
  const { ports = [] } = foreign?.attachment ??
    attachmentOf(networkPlaces(config.image_root.value), id) ?? {};
  if (wanted === undefined) {
    for (const each of ports) print(formatPort(each));
    return 0;
  }
  const [asked] = parseExposed(wanted);
  const found = ports.filter(({ containerPort, protocol }) =>
    containerPort === asked!.containerPort && protocol === asked!.protocol
  );
  if (found.length === 0) {
    throw new CrateError(
      "NOT_FOUND",
      `port ${asked!.containerPort}/${asked!.protocol} of container "${id}" is not published`,
    );
  }
  for (const each of found) print(formatHost(each));
  return 0;
}
