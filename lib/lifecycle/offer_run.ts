import { AT_FDCWD, close, encodeText, trySyscall } from "../../ffi/mod.ts";
import { contentOf, forgetOld, isOfKind, put as putIn, timeOf } from "./offers.ts";
import type { ClaimedNetwork } from "./claimed_network.ts";
import { latin1, type RunInput } from "./program/mod.ts";
import { openDirectory } from "./start.ts";
import type { RunMade } from "./run_input.ts";

// The next `crate run` with the same words, ready for the launcher (scripts/verbs.sh) as a program in the state directory,
// beside the note of the last one: `.run-CRATE-any-0` and so on for those that differ in their commands, `.run-CRATE-0`
// and so on for those that must not, and each with `-last` the note. What makes it, run_input.ts, is loaded when there is
// something to make. A note has no words in it, which may be secret; a program has all
// but the command that may be another, and is kept for a day.

/** The kind of the files: another one when what is in them, or how programs are encoded, changes. */
export const RUN_KIND = "crr3";

/** Of how many calls programs are kept: those with as many words, but for so many times this, take turns. */
export const RUN_SLOTS = 16;
/** Of how many kinds of calls with any command programs are kept. */
export const ANY_SLOTS = 8;
/** The words that are counted come after `--root`. */
const WORDS_FROM = 1;
/** More than people say. */
const MAX_REQUEST = 16384;
const MAX_NOTE = 1 << 20;
/** In the hexadecimal digits of {@linkcode digest}. */
const DIGEST_SIZE = 16;

const NAME = ".run-";

/** A call as the launcher has it; see scripts/verbs.sh. */
export interface RunCallWords {
  /** From `--root` on. */
  readonly words: readonly string[];
  /** The last of them, when others in their place make no other difference. */
  readonly command?: RunCommand;
  /** What the environment says of the configuration, as the launcher writes it. */
  readonly settings: string;
  readonly cwd: string;
  /** Which crate it is: another one may run containers otherwise. */
  readonly crate: string;
}

/** What is executed in a container. */
export interface RunCommand {
  readonly words: readonly string[];
  /** It is one because its first word is absolute. */
  readonly isPath: boolean;
}

/** How a note begins: it was asked for, and what is ready is of it. */
const [SEEN, READY] = [1, 2];

/** What becomes of a call for the next one with the same words. */
export interface RunOffer {
  /** Looks at what was made, while it is there: before the container runs. @throws {SyscallError} */
  look(made: RunMade): void;
  /** Notes the call; makes the next one ready when the last one was the same. @throws {SyscallError} {CrateError} */
  keep(): void | Promise<void>;
}

/**
 * Sees whether a `crate run` is the second one in a row with these words, or with these but for the command.
 *
 * @param root the state directory.
 * @returns undefined when there is nothing to be made ready.
 * @throws {SyscallError}
 */
export async function offerRun(root: string, call: RunCallWords): Promise<RunOffer | undefined> {
  const { settings, cwd, crate, command } = call;
  const words = call.words.slice(0, call.words.length - (command?.words.length ?? 0));
  const text = JSON.stringify([words, settings, cwd]);
  if (text.length > MAX_REQUEST || !root.startsWith("/")) return undefined;
  const request = encodeText(`${digest(text)}\n`);
  const prefix = `${NAME}${crate}-`;
  const anyFile = (slot: number) => `${root}/${prefix}any-${slot}`;
  const slot = command && findNote(anyFile, request);
  // The launcher knows no more of the words than how many they are.
  const name = slot === undefined
    ? `${prefix}${(words.length - WORDS_FROM) % RUN_SLOTS}`
    : `${prefix}any-${slot}`;
  const file = `${root}/${name}`;
  const last = contentOf(`${file}-last`, MAX_NOTE);
  const isSame = last !== undefined && isAt(last, 1, request);
  const put = (which: "" | "-last", bytes: Uint8Array<ArrayBuffer>) => {
    const folder = openDirectory(root);
    try {
      if (which === "") forgetOld(root, folder, NAME);
      putIn(folder, `${name}${which}`, bytes);
    } finally {
      close(folder);
    }
  };
  const note = (kind: number, rest: Uint8Array) => {
    const bytes = new Uint8Array(1 + request.length + rest.length);
    bytes[0] = kind;
    bytes.set(request, 1);
    bytes.set(rest, 1 + request.length);
    put("-last", bytes);
  };
  if (!isSame) {
    return {
      look() {},
      keep() {
        // A program whose note is another's nobody would make again.
        if (slot !== undefined) trySyscall("unlinkat", AT_FDCWD, file, 0);
        note(SEEN, new Uint8Array());
      },
    };
  }
  const { runInput, runVerb } = await import("./run_input.ts");
  let input: RunInput | undefined;
  let claimed: ClaimedNetwork | undefined;
  let image: RunMade["image"];
  return {
    look(made) {
      claimed = made.prepared.options.network;
      image = made.image;
      const from = slot === undefined ? 0 : slot + 1;
      const others = Array.from({ length: ANY_SLOTS - from }, (_, i) => anyFile(from + i));
      input = runInput(made, { words, command, settings, cwd, others, note: `${file}-last` });
    },
    async keep() {
      if (input === undefined) return;
      const network = await claimed?.ready?.();
      const stored = await image?.ready?.();
      if (claimed !== undefined && network === undefined) return;
      if (image !== undefined && stored === undefined) return;
      const { id = "", token, day, groups } = input;
      // But for what comes of chance.
      const host = encodeText(
        digest(
          JSON.stringify([day, input.host, groups, network, stored], toHex).replaceAll(token, "")
            .replaceAll(id, ""),
        ),
      );
      // Another call's may have come between a program and its note.
      const isReady = last[0] === READY && isAt(last, 1 + request.length + DIGEST_SIZE, host) &&
        isOfKind(file, RUN_KIND) &&
        isAt(last, 1 + request.length, digestOf(contentOf(file, MAX_NOTE) ?? new Uint8Array()));
      const program = isReady ? undefined : runVerb(withRest(input, network, stored));
      if (program === undefined) return;
      put("", program);
      note(READY, new Uint8Array([...digestOf(program), ...host]));
    },
  };
}

function withRest(
  input: RunInput,
  network: RunInput["network"],
  stored: RunInput["stored"],
): RunInput {
  const { host } = input;
  const directories = [...host.directories, ...stored?.layers ?? []];
  return {
    ...input,
    host: { ...host, directories },
    ...network && { network },
    ...stored && { stored },
  };
}

/** Where a call's note is; or, when there is none, the oldest one's place. */
function findNote(fileOf: (slot: number) => string, request: Uint8Array): number {
  let oldest = { slot: 0, time: Infinity };
  for (let slot = 0; slot < ANY_SLOTS; slot++) {
    const file = `${fileOf(slot)}-last`;
    const note = contentOf(file, 1 + request.length);
    if (note !== undefined && isAt(note, 1, request)) return slot;
    const time = timeOf(file);
    if (time < oldest.time) oldest = { slot, time };
  }
  return oldest.slot;
}

function isAt(bytes: Uint8Array, at: number, part: Uint8Array): boolean {
  return bytes.length >= at + part.length && part.every((byte, i) => byte === bytes[at + i]);
}

function digestOf(bytes: Uint8Array): Uint8Array {
  return encodeText(digest(latin1(bytes)));
}

/** Of texts that differ it hardly ever is the same; a program compares them whole. FNV-1a, twice */
function digest(text: string): string {
  let [a, b] = [0x811c9dc5, 0x050c5d1f];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x01000193) + a;
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

function toHex(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? value.toHex() : value;
}
