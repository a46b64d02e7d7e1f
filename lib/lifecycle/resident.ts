import { arch, close, encodeElf, encodeText, randomHex, ResidentProgram } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { prepareContainer, type Prepared, recordOf, type StartOptions } from "./container.ts";
import { reapEnded } from "./ended.ts";
import { isSameBut, serialize } from "./kind.ts";
import { compileResident, latin1, type Resident, type ResidentInput } from "./program/mod.ts";
import { processOf } from "./run_input.ts";
import { hasEnded, killSurvivor, reap, type Stdio } from "./start.ts";
import { type ContainerRecord, makingPath, readState, STATE_FILES } from "./state.ts";
import { walkedOf } from "./walked_input.ts";

// A script that starts containers of one kind again and again: from the third one on, all is known but the id, and a
// program starts it that stays in this process's memory; see program/resident.ts.

/** Of how many kinds programs stay in memory. */
const KINDS = 8;

/** Absent until two of the kind were started. */
interface Kind {
  readonly ready?: { readonly program: ResidentProgram; readonly resident: Resident };
}

/** By all that a container is made from but its id; the one that was used last comes last. */
const kinds = new Map<string, Kind>();

/** A container that runs, or has run. */
export interface StartedResident {
  readonly init: number;
  readonly monitor: { readonly pid: number };
  readonly control: number;
}

/** What is to be done about a container of a kind. */
export interface ResidentStart {
  /** Eight digits that nobody else has. */
  readonly token: string;
  /** Starts it; undefined when it has to be started otherwise. @throws {CrateError} */
  start(id: string, root: string, stdio: Stdio): StartedResident | undefined;
  /** Looks at one that is being started, while its groups are there: the second of its kind. */
  look?(prepared: Prepared, record: Omit<ContainerRecord, "version">): void;
  /** Makes the next start of the kind ready. @param other prepares one of another id. */
  keep?(other: (id: string) => StartOptions): Promise<void>;
}

/** What a container of this kind was made from. */
interface Look {
  readonly input: ResidentInput;
  /** All of it as a text, in which its id and its token can be found. */
  readonly text: string;
}

/** @param kind all that it is made from but its id. */
export function residentStart(kind: string): ResidentStart {
  const token = randomHex(4);
  const known = kinds.get(kind);
  kinds.delete(kind);
  const remember = (entry: Kind) => {
    kinds.set(kind, entry);
    for (const [oldest, { ready }] of kinds) {
      if (kinds.size <= KINDS) break;
      kinds.delete(oldest);
      ready?.program[Symbol.dispose]();
    }
  };
  if (known === undefined) {
    remember({});
    return { token, start: () => undefined };
  }
  if (known.ready !== undefined) {
    const { program, resident } = known.ready;
    return {
      token,
      start(id, root, stdio) {
        const started = walkResident(program, resident, { id, token, root, stdio });
        if (started !== undefined) remember(known);
        else program[Symbol.dispose]();
        return started;
      },
    };
  }
  let found: Look | undefined;
  return {
    token,
    start: () => undefined,
    look(prepared, record) {
      found = lookAt(prepared, record, token);
    },
    async keep(other) {
      const made = found && await compile(found, other);
      if (made !== undefined) remember(made);
    },
  };
}

/** All that a container is made from. */
function textOf(
  { options: { root }, cgroup, seccomp }: Prepared,
  { created: _, ...record }: Omit<ContainerRecord, "version">,
  file: Uint8Array<ArrayBuffer>,
): string {
  return latin1(serialize({ root, record, cgroup, seccomp, file }));
}

/**
 * What the next start of a kind is made from, by a container that is being started, while its groups are there.
 *
 * @returns undefined when there is more to it than a program can do.
 * @throws {SyscallError}
 */
export function lookAt(
  prepared: Prepared,
  record: Omit<ContainerRecord, "version">,
  token: string,
): Look | undefined {
  const { options: { root }, cgroup, seccomp, program } = prepared;
  const file = encodeElf(program, arch).bytes;
  const walked = walkedOf(
    { root, record, cgroup, seccomp, program: file },
    { making: makingPath(root, token), files: STATE_FILES },
  );
  if (walked === undefined) return undefined;
  const input = { ...walked, id: record.id, token, process: processOf(true) };
  return { input, text: textOf(prepared, record, file) };
}

/** The program, when a container with another id would differ in that alone. */
async function compile(
  { input, text: known }: Look,
  other: (id: string) => StartOptions,
): Promise<Kind | undefined> {
  const { id, token } = input;
  const was = { id: randomHex(Math.ceil(id.length / 2)).slice(0, id.length), token: randomHex(4) };
  let text: string;
  try {
    const options = { ...other(was.id), token: was.token };
    const prepared = await prepareContainer(options);
    text = textOf(prepared, recordOf(prepared), encodeElf(prepared.program, arch).bytes);
  } catch (error) {
    // Its files, such as the sources of its mounts, may be there for its own id alone.
    if (error instanceof CrateError) return undefined;
    throw error;
  }
  const holes = [{ text: id, places: [] }, { text: token, places: [] }];
  if (!isSameBut(text, known, { holes, was: [was.id, was.token] })) return undefined;
  const resident = compileResident(input);
  return { ready: { resident, program: new ResidentProgram(resident.program) } };
}

/** Starts a container; undefined when it has to be started otherwise: then nothing is left of it. @throws {CrateError} */
export function walkResident(
  program: ResidentProgram,
  { words, places, standard, pair, isDone, init, monitor }: Resident,
  { id, token, root, stdio }: { id: string; token: string; root: string; stdio: Stdio },
): StartedResident | undefined {
  reapEnded();
  const text = encodeText(id + token);
  const run = program.run((put) => {
    put(words, text);
    for (const { cell, offset, from, length } of places) {
      put(cell, text.subarray(from, from + length), offset);
    }
    stdio.forEach((fd, i) => put(standard[i]!, new Uint8Array(new Int32Array([fd]).buffer)));
  });
  const sockets = new Int32Array(run.bytes(pair).buffer);
  const pid = run.value(monitor);
  if (run.value(isDone) === 0) {
    for (const fd of sockets) if (fd >= 0) close(fd);
    if (pid > 0) reap(pid);
    return undefined;
  }
  const [control, theirs] = sockets as unknown as [number, number];
  close(theirs);
  if (hasEnded(pid)) {
    const own = readState(root, id)?.process?.init;
    try {
      if (own !== undefined) killSurvivor(own);
    } catch (error) {
      close(control);
      throw error;
    }
  }
  return { init: run.value(init), monitor: { pid }, control };
}
