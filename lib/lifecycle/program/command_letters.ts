/** Longer commands are left to crate, in bytes with a NUL behind each word. */
export const MAX_COMMAND = 2048;

/** Whether a program can write a command as JSON.stringify does; see own_command.ts. */
export function canWrite(command: readonly string[]): boolean {
  const isPlain = command.every((word) => /^[ -~\n\t]*$/.test(word));
  const size = command.reduce((sum, word) => sum + word.length + 1, 0);
  return isPlain && size <= MAX_COMMAND && /^[^-]/.test(command[0] ?? "");
}
