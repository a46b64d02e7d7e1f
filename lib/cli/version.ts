/** This crate's version; `deno.json` has the same, which a test holds. */
export const VERSION = "0.1.0";
