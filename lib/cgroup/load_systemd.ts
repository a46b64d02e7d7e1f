/** What has systemd make the groups: loaded by who needs it. */
export const loadSystemd = (): Promise<typeof import("./systemd/mod.ts")> =>
  import("./systemd/mod.ts");
