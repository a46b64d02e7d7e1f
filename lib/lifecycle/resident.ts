import { arch, close, encodeElf, encodeText, randomHex, ResidentProgram } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { prepareContainer, type Prepared, recordOf, type StartOptions } from "./container.ts";
import { formatRecord } from "./claim.ts";
import { reapEnded } from "./ended.ts";
import { isSameBut, serialize } from "./kind.ts";
import {
  compileResident,
  latin1,
  MONITOR_KILLED,
  type Resident,
  type ResidentInput,
} from "./program/mod.ts";
import { processOf } from "./run_input.ts";
import { hasEnded, killSurvivor, reap, type Stdio } from "./start.ts";
import { type ContainerRecord, makingPath, readState, STATE_FILES, VERSION } from "./state.ts";
import { walkedOf } from "./walked_input.ts";

// A script that starts containers of one kind again and again: from the third one on, all is known but the id, and a
// program starts it that stays in this process's memory; see program/resident.ts.

/** Of how many kinds programs stay in memory. */
const KINDS = 8;

/** What is known of a kind: the first was started; the second is being looked at; the next is ready; or it never is. */
type Kind = "seen" | "looked at" | "never" | Ready;

interface Ready {
  readonly program: ResidentProgram;
  readonly resident: Resident;
}

/** By all that a container is made from but its id; the one that was used last comes last. */
const kinds = new Map<string, Kind>();

function remember(kind: string, entry: Kind): void {
  const before = kinds.get(kind);
  if (before !== entry) letGo(before);
  kinds.delete(kind);
  kinds.set(kind, entry);
  for (const [oldest, old] of kinds) {
    if (kinds.size <= KINDS) break;
    kinds.delete(oldest);
    letGo(old);
  }
}

function letGo(entry: Kind | undefined): void {
  if (typeof entry === "object") entry.program[Symbol.dispose]();
}

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
  /** Looks at one that is being started, while its groups are there: the second of its kind. Never throws. */
  look(prepared: Prepared, record: Omit<ContainerRecord, "version">): void;
  /** Makes the next start of the kind ready. Never throws. @param other prepares one of another id. */
  keep(other: (id: string) => StartOptions): Promise<void>;
  /** It could not be started. */
  giveUp(): void;
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
  const isSecond = known === "seen";
  if (known === undefined) remember(kind, "seen");
  if (isSecond) remember(kind, "looked at");
  let found: Look | undefined;
  return {
    token,
    start(id, root, stdio) {
      if (typeof known !== "object") return undefined;
      let started: StartedResident | undefined;
      try {
        started = walkResident(known.program, known.resident, { id, token, root, stdio });
      } finally {
        // What does not serve is as new.
        remember(kind, started === undefined ? "seen" : known);
      }
      return started;
    },
    look(prepared, record) {
      if (isSecond) found = quietly(() => lookAt(prepared, record, token));
    },
    async keep(other) {
      if (!isSecond) return;
      const ready = found && await compile(found, other).catch(() => undefined);
      remember(kind, ready ?? "never");
    },
    giveUp() {
      if (isSecond && kinds.get(kind) === "looked at") remember(kind, "seen");
    },
  };
}

/** The container runs, and must not be lost over what is done for the next one. */
function quietly<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}

/** Some time, of which there is no word in the records that are compared. */
const NO_TIME = "0000";

/** All that a container is made from, as it is written. */
function textOf(
  { options: { root }, cgroup, seccomp }: Prepared,
  record: Omit<ContainerRecord, "version">,
  file: Uint8Array<ArrayBuffer>,
): string {
  const written = formatRecord({ version: VERSION, ...record, created: NO_TIME });
  return latin1(serialize({ root, written, process: processOf(true), cgroup, seccomp, file }));
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
  { input, text }: Look,
  other: (id: string) => StartOptions,
): Promise<Ready | undefined> {
  const { id, token } = input;
  const was = { id: randomHex(Math.ceil(id.length / 2)).slice(0, id.length), token: randomHex(4) };
  // Its files, such as the sources of its mounts, may be there for its own id alone: then this fails.
  const prepared = await prepareContainer({ ...other(was.id), token: was.token });
  const { bytes } = encodeElf(prepared.program, arch);
  const holes = [{ text: id, places: [] }, { text: token, places: [] }];
  const isSame = isSameBut(textOf(prepared, recordOf(prepared), bytes), text, {
    holes,
    was: [was.id, was.token],
  });
  if (!isSame) return undefined;
  const resident = compileResident(input);
  return { resident, program: new ResidentProgram(resident.program) };
}

/** Starts a container; undefined when it has to be started otherwise: then nothing is left of it. @throws {CrateError} */
export function walkResident(
  program: ResidentProgram,
  { words, places, standard, pair, isDone, isGoing, init, monitor }: Resident,
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
    if (run.value(isGoing) !== 0) throw new CrateError("START", MONITOR_KILLED);
    return undefined;
  }
  const [control, theirs] = sockets as unknown as [number, number];
  close(theirs);
  if (hasEnded(pid)) {
    try {
      const own = readState(root, id)?.process?.init;
      if (own !== undefined) killSurvivor(own);
    } catch (error) {
      close(control);
      throw error;
    }
  }
  return { init: run.value(init), monitor: { pid }, control };
}
