/** Groups of resctrl: loaded by who needs one. */
export const loadResctrl = (): Promise<typeof import("./resctrl.ts")> => import("./resctrl.ts");
