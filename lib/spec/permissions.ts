/** What this room needs of Deno: nothing, it is words and values alone. */
export const permissions = {} as const;
