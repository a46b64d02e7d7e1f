/**
 * What this room needs of Deno: to read its files. Whether one is there it asks through its caller.
 *
 * @param files The configuration files that count: the system's, the user's, what `--config` names.
 */
export function permissions(files: readonly string[]): { readonly read: readonly string[] } {
  return { read: files };
}
