import { arch, encodeElf, encodeMapped, encodeText } from "../../ffi/mod.ts";
import type { ReadyFiles } from "../image/mod.ts";
import { RUN_KIND, type RunCommand } from "./offer_run.ts";
import type { Prepared } from "./container.ts";
import {
  compileContainer,
  type CompileInput,
  compileRunVerb,
  type Filling,
  prepareOwnExecution,
  type RunInput,
} from "./program/mod.ts";
import { type ContainerRecord, makingPath, STATE_FILES } from "./state.ts";
import { walkedOf } from "./walked_input.ts";

// What the launcher walks when `crate run` is called with the same words again; see program/run_verb.ts.

/** A container that is being started by `crate run`: all is made. */
export interface RunMade {
  readonly root: string;
  readonly prepared: Prepared;
  readonly record: Omit<ContainerRecord, "version">;
  /** Its name comes of chance. */
  readonly isUnnamed: boolean;
  /** Eight digits that nobody else has. */
  readonly token: string;
  /** Its standard input is crate's own. */
  readonly input: boolean;
  /** What it has of the store of images. */
  readonly image?: { ready?(): Promise<ReadyFiles | undefined> };
}

/** A call, as the launcher has it, and where the next one is ready. */
export interface CallText {
  /** All of them; or those before the command, when there is one. */
  readonly words: readonly string[];
  readonly command?: RunCommand;
  readonly settings: string;
  readonly cwd: string;
  /** The files of other calls'. */
  readonly others: readonly string[];
  readonly note: string;
}

/**
 * What the next call with the same words is made from.
 *
 * @returns undefined when there is more to it than a program can do.
 * @throws {SyscallError}
 */
export function runInput(
  run: RunMade,
  { words, command, settings, cwd, others, note }: CallText,
): RunInput | undefined {
  const { root, record, prepared, token } = run;
  const { cgroup, seccomp, input } = prepared;
  const anyCommand = command !== undefined;
  const isWhole = JSON.stringify(record.spec.process!.args) === JSON.stringify(command?.words);
  if (anyCommand && !isWhole) return undefined;
  const { network } = prepared.options;
  const program = anyCommand || network !== undefined
    ? compileContainer({
      ...input,
      parent: network === undefined ? input.parent : keepingPlace(input.parent),
      ...anyCommand && { prepareOwn: prepareOwnExecution },
    })
    : prepared.program;
  const made = {
    root,
    record,
    cgroup,
    seccomp,
    program: encodeElf(program, arch).bytes,
    anyCommand,
  };
  const walked = walkedOf(
    { ...made, ...network && { own: network.left.files } },
    { making: makingPath(root, token), files: STATE_FILES },
  );
  if (walked === undefined) return undefined;
  return {
    ...walked,
    request: {
      words: encodeText(words.map((word) => `${word}\0`).join("")),
      count: words.length,
      ...anyCommand && { command: { isPath: command.isPath } },
      settings: encodeText(settings),
      cwd,
      others,
    },
    ...anyCommand && { note },
    ...run.isUnnamed && { id: record.id },
    token,
    ...record.detached && { detached: { name: record.id } },
    input: run.input,
    process: processOf(record.remove),
  };
}

/** A monitor that keeps its container's place on a network until it ends itself: its files are gone then. */
function keepingPlace(parent: CompileInput["parent"]): CompileInput["parent"] {
  if (parent.start !== undefined || parent.network === undefined) return parent;
  return { ...parent, network: { ...parent.network, held: 1, lasting: 1 } };
}

/** `process.json`; see startContainer. */
export function processOf(remove: boolean): Filling[] {
  return [
    encodeText('{"init":{"pid":'),
    { own: "pid text" },
    encodeText(',"startTime":'),
    { own: "start text" },
    encodeText('},"monitor":{"pid":'),
    { own: "monitor's pid text" },
    encodeText(',"startTime":'),
    { own: "monitor's start text" },
    encodeText(remove ? "}}" : '},"movable":true}'),
  ];
}

/** The file of the program; undefined when it is too large. */
export function runVerb(input: RunInput): Uint8Array<ArrayBuffer> | undefined {
  return encodeMapped(compileRunVerb(input), arch, RUN_KIND);
}
