import type { Effective, Setting } from "./keys.ts";

/**
 * The configuration as a text that says where each value comes from: TOML with the origins in
 * comments (which is again a configuration file), or JSON with `value` and `origin` for every key.
 *
 * @example
 * ```ts
 * import { formatConfig, loadConfig } from "./mod.ts";
 * const config = await loadConfig({ env: { CRATE_LOG_LEVEL: "info" }, systemFile: "/nonexistent" });
 * const text = formatConfig(config, "toml");
 * if (!text.includes('[log]\nlevel = "info" # CRATE_LOG_LEVEL\n')) throw new Error(text);
 * ```
 */
export function formatConfig(effective: Effective, format: "toml" | "json"): string {
  const tables = new Map<string, [name: string, setting: Setting][]>();
  for (const [key, setting] of Object.entries(effective)) {
    const [name, table] = key.split(".").reverse() as [string, string?];
    const list = tables.get(table ?? "");
    if (list) list.push([name, setting]);
    else tables.set(table ?? "", [[name, setting]]);
  }
  return format === "toml" ? toToml(tables) : toJson(tables);
}

type Tables = ReadonlyMap<string, readonly [name: string, setting: Setting][]>;

function toToml(tables: Tables): string {
  const blocks = [...tables].map(([table, settings]) => {
    const lines = settings.map(([name, { value, origin }]) => {
      const comment = `# ${origin.replace(/\p{Cc}/gu, "?")}`;
      // TOML has no word for a value that is not there.
      return value === undefined
        ? `# ${name} is not set ${comment}`
        : `${name} = ${tomlValue(value)} ${comment}`;
    });
    return [...table ? [`[${table}]`] : [], ...lines, ""].join("\n");
  });
  return blocks.join("\n");
}

function tomlValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(([k, v]) => `${tomlValue(k)} = ${tomlValue(v)}`);
    return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
  }
  // JSON's strings are TOML's, but for the one control character that only TOML wants escaped.
  return JSON.stringify(value).replaceAll("\x7f", "\\u007f");
}

function toJson(tables: Tables): string {
  const document: Record<string, unknown> = {};
  for (const [table, settings] of tables) {
    const members = settings.map(([name, { value = null, origin }]) => [name, { value, origin }]);
    if (table) document[table] = Object.fromEntries(members);
    else Object.assign(document, Object.fromEntries(members));
  }
  return `${JSON.stringify(document, null, 2)}\n`;
}
