import { type ContainerState, listContainers, ociState, shownStatus } from "../../lifecycle/mod.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import type { ListCall } from "../words/mod.ts";

/** `Exited (3)`, as people know it. */
function statusText(state: ContainerState): string {
  const { status, exit } = state;
  return status === "stopped" && exit !== undefined ? `stopped (${exit.code})` : shownStatus(state);
}

function commandText({ record }: ContainerState): string {
  const text = (record.spec.process?.args ?? []).join(" ");
  return text.length > 30 ? `${text.slice(0, 29)}…` : text;
}

function table(states: readonly ContainerState[]): string {
  const rows = [
    ["ID", "STATUS", "PID", "CREATED", "COMMAND"],
    ...states.map((state) => [
      state.record.id,
      statusText(state),
      state.status === "running" || state.status === "created"
        ? String(state.process!.init.pid)
        : "-",
      state.record.created.slice(0, 19).replace("T", " "),
      commandText(state),
    ]),
  ];
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]! + 2)).join("").trimEnd())
    .join("\n");
}

function json(state: ContainerState): Record<string, unknown> {
  const { record, exit } = state;
  return {
    ...ociState(state),
    created: record.created,
    ...(exit === undefined ? {} : { exitCode: exit.code, finished: exit.at?.toISOString() }),
  };
}

/** `crate list`. */
export default async function list({ options, globals }: ListCall): Promise<number> {
  const states = await listContainers((await readConfig(globals)).root.value);
  if (options.quiet) { for (const { record } of states) print(record.id); }
  else if (options.format === "json") print(JSON.stringify(states.map(json)));
  else print(table(states));
  return 0;
}
