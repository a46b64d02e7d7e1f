import { encodeText, exists } from "../../../ffi/mod.ts";
import type { CreateRequest } from "../../lifecycle/mod.ts";
import type { CreateCall } from "../words/mod.ts";

const USUAL = ["bundle", "pidFile"];
const USUAL_GLOBALS = ["root", "log", "logFormat"];

/**
 * A call as scripts/verbs.sh has it, which says the same of each in the same words: the next one may be done by the
 * launcher.
 *
 * @param config the text of the bundle's.
 * @returns undefined for a call that it does not understand, or without a launcher.
 */
export function createRequest(
  { options, globals, positionals: [id] }: CreateCall,
  root: string,
  config: string,
): CreateRequest | undefined {
  const folder = import.meta.dirname;
  const { bundle, pidFile } = options;
  const { log, logFormat } = globals;
  const isSaid = (value: unknown) =>
    value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
  const hasMore = (given: object, usual: readonly string[]) =>
    Object.entries(given).some(([name, value]) => isSaid(value) && !usual.includes(name));
  if (hasMore(options, USUAL) || hasMore(globals, USUAL_GLOBALS)) return undefined;
  if (!bundle?.startsWith("/") || pidFile !== undefined && !pidFile.startsWith("/")) {
    return undefined;
  }
  if (log?.includes(":") || Deno.env.get("LISTEN_FDS") !== undefined) return undefined;
  if (folder === undefined || !exists(`${folder}/verbs/create/sh`)) return undefined;
  const rootWord = `--root=${root}`;
  const words = [
    rootWord,
    log === undefined ? rootWord : `--log=${log}`,
    logFormat === undefined ? rootWord : `--log-format=${logFormat}`,
    "create",
    "--bundle",
    bundle,
    ...pidFile === undefined ? [] : ["--pid-file", pidFile],
    id!,
  ];
  const said = encodeText(words.map((word) => `${word}\0`).join(""));
  const text = encodeText(config);
  const bytes = new Uint8Array(said.length + text.length);
  bytes.set(said);
  bytes.set(text, said.length);
  return { bytes, words: said.length, crate: folder.slice(folder.lastIndexOf("/") + 1) };
}
