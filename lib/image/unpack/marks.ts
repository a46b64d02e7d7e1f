import type { CrateError } from "../../errors.ts";
import type { ByteString } from "../tar/mod.ts";
import { type Directory, within } from "./directories.ts";
import { invalid } from "./entry_calls.ts";

/** A mark counts for all of its layer, wherever it stands in it; what it hides must not have led anywhere. */
export function requireUnseen(path: ByteString, directory: Directory): void {
  for (const { followed } of within(directory)) if (followed.size > 0) throw tooLate(path);
}

/** The error of such a mark. */
export function tooLate(path: ByteString): CrateError {
  return invalid(path, "hides what entries before it lie in: it must come before them");
}
