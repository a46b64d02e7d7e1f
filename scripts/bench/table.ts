import type { Host } from "./host.ts";
import type { Resident } from "./resident.ts";
import type { Row } from "./rows.ts";
import type { Summary } from "./statistics.ts";

/** All that was measured. */
export interface Report {
  readonly host: Host;
  readonly rounds: number;
  readonly rows: readonly { readonly row: Omit<Row, "sample">; readonly summary: Summary }[];
  readonly resident: readonly Resident[];
  readonly skipped: readonly string[];
}

const time = (value: number | undefined) => value?.toFixed(value < 10 ? 2 : 1) ?? "";
const mebibytes = (kib: number | undefined) =>
  kib === undefined ? "" : (kib / 1024).toFixed(kib < 10240 ? 1 : 0);

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** The report in Markdown: what the README quotes. */
export function formatReport({ host, rounds, rows, resident, skipped }: Report): string {
  const { versions } = host;
  const peers = Object.entries(versions).flatMap(([name, version]) =>
    version === undefined ? [] : [`${name} ${version}`]
  );
  const median = (key: string) => rows.find(({ row }) => row.key === key)?.summary.median;
  const lines = [
    `Linux ${host.kernel}, ${host.processors} × ${host.processor}, cgroups: ${host.cgroups}; ` +
    `${
      peers.join(", ")
    }. ${rounds} rounds, in an order of chance; times in milliseconds. All run crate's own ` +
    "config: default mounts, masks, cgroups, capabilities and seccomp filter, five namespaces and " +
    "one of cgroups (for crun and runc its ociVersion says 1.0.2).",
    "",
    line(["`/bin/true`, to its end", "median", "p10–p90", "ratio", "CPU time", "max. MiB"]),
    line(["---", "---:", "---:", "---:", "---:", "---:"]),
    ...rows.map(({ row, summary }) => {
      const other = median(row.comparedTo);
      return line([
        row.title,
        time(summary.median),
        `${time(summary.p10)}–${time(summary.p90)}`,
        other === undefined ? "" : `${(summary.median / other).toFixed(2)} × ${row.comparedTo}`,
        time(summary.cpu),
        mebibytes(summary.maxRss),
      ]);
    }),
    "",
    line(["What stays in memory while a container runs", "RSS, KiB", "PSS, KiB"]),
    line(["---", "---:", "---:"]),
    ...resident.map(({ title, rss, pss }) => line([title, String(rss), String(pss)])),
  ];
  if (skipped.length > 0) lines.push("", ...skipped.map((reason) => `Not measured: ${reason}.`));
  return lines.join("\n");
}
