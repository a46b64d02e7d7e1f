import { print } from "../print.ts";
import { VERSION } from "../version.ts";

/** `crate version`. */
export default function version(): number {
  print(`crate ${VERSION}`);
  return 0;
}
