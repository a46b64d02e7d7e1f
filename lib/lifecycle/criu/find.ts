import { AT_EACCESS, AT_FDCWD, trySyscall } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { isDirectory } from "../facts.ts";
import { absolute } from "./images.ts";

const X_OK = 1;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function isExecutable(path: string): boolean {
  return trySyscall("faccessat2", AT_FDCWD, path, X_OK, AT_EACCESS) === 0 &&
    isDirectory(path) === false;
}

/**
 * Where criu is.
 *
 * @param given a path, or a name that is looked for in `$PATH`.
 * @throws {CrateError} `NOT_FOUND`, saying what to install.
 */
export function findCriu(given: string, env: Readonly<Record<string, string>>): string {
  const names = given.includes("/")
    ? [absolute(given)]
    : (env.PATH || DEFAULT_PATH).split(":").filter((directory) => directory.startsWith("/"))
      .map((directory) => `${directory}/${given}`);
  const found = names.find(isExecutable);
  if (found !== undefined) return found;
  throw new CrateError(
    "NOT_FOUND",
    given.includes("/")
      ? `--criu ${given}: there is no such program`
      : `${given} is not in $PATH: checkpoint and restore need it (apt-get install criu, ` +
        "dnf install criu); --criu names it elsewhere",
  );
}
