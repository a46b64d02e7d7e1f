/**
 * Asks before something is removed that nobody has named, as docker and podman do. Only a person at a terminal can be asked:
 * a script means what it says.
 *
 * @param what is going to be removed, for `This removes …`
 */
export function isConfirmed(what: string, { force }: { readonly force: boolean }): boolean {
  return force || !Deno.stdin.isTerminal() || confirm(`This removes ${what}. Go on?`);
}
