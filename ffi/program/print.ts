import { flagNames } from "../flags.ts";
import { argumentKinds } from "../syscalls.ts";
import { type Argument, type Cell, NEXT, type Place, type Program, type Step } from "./builder.ts";

function showNumber(value: number | bigint): string {
  return value < 10 ? String(value) : `0x${value.toString(16)}`;
}

function showCell({ name, content }: Cell): string {
  if (name !== "") return name;
  if (typeof content === "string") return JSON.stringify(content);
  if (content === undefined || content instanceof Uint8Array) return "(bytes)";
  const fields = Object.entries(content.values) as [string, number | bigint][];
  return `{${fields.map(([field, value]) => `${field}: ${showNumber(value)}`).join(", ")}}`;
}

function showPlace({ cell, offset }: Place): string {
  if (cell.name === "header") {
    return ["failed", "error", "handler", "result"][offset / 8] ?? "header";
  }
  return offset === 0 ? showCell(cell) : `${showCell(cell)}+${offset}`;
}

function showArgument(argument: Argument, kind: string): string {
  if (typeof argument === "object") {
    if ("value" in argument) return showPlace(argument.value);
    if ("own" in argument) {
      const from = argument.own === "words" ? showCell(argument.from) : argument.from;
      return from === 0 ? `own ${argument.own}` : `own ${argument.own}+${from}`;
    }
    if ("address" in argument) return `&${showPlace(argument.address)}`;
    return argument.kind === "constant" ? showCell(argument) : `&${showCell(argument)}`;
  }
  const value = Number(argument);
  switch (kind) {
    case "dirfd":
      return value === -100 ? "AT_FDCWD" : String(value);
    case "fd":
    case "dec":
      return String(value);
    case "oct":
      return value === 0 ? "0" : `0${value.toString(8)}`;
    case "path":
    case "string":
    case "address":
      return value === 0 ? "NULL" : `0x${value.toString(16)}`;
    case "hex":
      return value === 0 ? "0" : `0x${value.toString(16)}`;
    default:
      return flagNames(kind, argument);
  }
}

function showCompute(args: readonly Argument[]): string {
  const [a, b, mask] = args.map((argument) => showArgument(argument, "dec"));
  const difference = b === "0" ? a : `${a} - ${b}`;
  return mask === "-1" ? difference! : `(${difference}) & ${mask}`;
}

/** What the arguments of a comparison are. */
const COMPARED = ["address", "address", "dec"];

function showStep(step: Step, index: number, marks: Map<number, string>): string {
  const { operation, args, label, result } = step;
  const isCall = operation !== "compute" && operation !== "compare" && operation !== "return";
  const kinds = isCall ? argumentKinds(operation) : operation === "compare" ? COMPARED : [];
  const text = operation === "compute"
    ? showCompute(args)
    : `${operation}(${args.map((a, i) => showArgument(a, kinds[i] ?? "hex")).join(", ")})`;
  const assigned = result === undefined ? text : `${showPlace(result)} = ${text}`;
  const ways: string[] = [];
  for (const way of ["negative", "zero", "positive"] as const) {
    const to = step[way];
    if (to === undefined) continue;
    if (to !== NEXT && to.index !== index + 1) {
      ways.push(`${way}: ${to.address ? to.name : marks.get(to.index) ?? to.index}`);
    } else if (way === "negative" && isCall) ways.push("errors ignored");
  }
  const notes = [label === operation ? "" : label, ways.length ? `[${ways.join(", ")}]` : ""];
  const note = notes.filter(Boolean).join(" ");
  return `${String(index).padStart(4)}  ${assigned}${note && `  # ${note}`}`;
}

/**
 * A program as text, one line a step: what it calls with which arguments, why, and where it goes on.
 *
 * @example
 * ```ts
 * import { ProgramBuilder } from "./builder.ts";
 * import { printProgram } from "./print.ts";
 * const p = new ProgramBuilder();
 * p.call("sethostname", [p.string("web"), 3], { label: "hostname" });
 * if (printProgram(p.build()) !== '   0  sethostname("web", 3)  # hostname\n') throw new Error();
 * ```
 */
export function printProgram(program: Program): string {
  const marks = new Map<number, string>();
  for (const { name, index } of program.labels) {
    if (name !== "next" && !marks.has(index)) marks.set(index, name);
  }
  const lines: string[] = [];
  program.steps.forEach((step, i) => {
    const mark = marks.get(i);
    if (mark !== undefined) lines.push(`${mark}:`);
    lines.push(showStep(step, i, marks));
  });
  return lines.map((line) => line.replace(/\p{Cc}/gu, escape)).join("\n") + "\n";
}

/** Paths and names may hold anything: nothing of them may end a line or reach a terminal. */
function escape(control: string): string {
  return `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
