/**
 * The configuration: files, environment and command line on top of each other, every value with
 * the place that it comes from.
 *
 * @module
 */
export { formatConfig } from "./format.ts";
export type { Effective, Key, Setting } from "./keys.ts";
export { loadConfig, type Override, settingVariables, type Sources } from "./load.ts";
