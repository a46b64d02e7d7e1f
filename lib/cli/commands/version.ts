import { VERSION } from "../version.ts";

/** `crate version`. */
export default function version(): number {
  console.log(`crate ${VERSION}`);
  return 0;
}
