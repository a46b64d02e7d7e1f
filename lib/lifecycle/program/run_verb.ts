import {
  addressOf,
  AT_FDCWD,
  type Cell,
  encodeText,
  EPIPE,
  type Label,
  MADV_DONTNEED,
  MFD_CLOEXEC,
  NEXT,
  O_CLOEXEC,
  O_RDONLY,
  O_RDWR,
  placeIn,
  type Program,
  valueOf,
} from "../../../ffi/mod.ts";
import type { ReadyFiles } from "../../image/mod.ts";
import type { ReadyNetwork } from "../../network/mod.ts";
import { SETUP_FAILED } from "./protocol.ts";
import { commandAt, readRunRequest, type RunRequest } from "./run_request.ts";
import type { Scope } from "./scope.ts";
import {
  type ClaimedContainer,
  compileWalkedContainer,
  type WalkedContainer,
  type WordsFile,
} from "./walked_container.ts";
import { makeFiles } from "./walked_files.ts";
import { takePlace } from "./walked_network.ts";
import { becomeRelay, type ComingRelay, prepareRelay, requireMonitor } from "./walked_relay.ts";
import { startWalked } from "./walked_start.ts";
import type { Word, Words } from "./words.ts";

// `crate run`, as a program: once crate has been called twice with the same words, the next container differs in its id
// alone, or in its command, which is the process's own. Whoever asks for that walks what crate itself does: makes it, starts
// it, and becomes its relay or prints its id.

/** What a `crate run` depends on: all of the last one's, with its id in it. */
export interface RunInput extends WalkedContainer {
  readonly request: RunRequest;
  /** The last one's id; absent: it is called what the words say. */
  readonly id?: string;
  /** Eight digits that were the last one's alone. */
  readonly token: string;
  /** Absent: it is in the foreground, and ends with this process. */
  readonly detached?: {
    /** What is printed, without the line's end. */
    readonly name: string;
  };
  /** Its standard input is this process's. */
  readonly input: boolean;
  /** The network that it is on. */
  readonly network?: ReadyNetwork;
  /** Its place in the store of images. */
  readonly stored?: ReadyFiles;
  /** The note of calls with any command, whose time tells when one was there last. */
  readonly note?: string;
}

/** Whose text is random digits but for the hyphens, and six bits in its middle. random(4) */
const RANDOM = "/proc/sys/kernel/random/uuid";
const RANDOM_SIZE = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx\n".length;
/** Where eight of the digits are, and twelve. */
const [TOKEN_AT, ID_AT] = [0, 24];
/** What a program exits with that SIGPIPE kills. */
const NOBODY_READS = 141;

/** The program of a `crate run`; until the user's program is executed, whatever fails is undone and left to crate. */
export function compileRunVerb(input: RunInput): Program {
  let relay: ComingRelay | undefined;
  let file: RandomFile | undefined;
  return compileWalkedContainer(
    input,
    (s, ask) => {
      const command = readRunRequest(s, input.request, ask);
      if (input.detached === undefined) relay = prepareRelay(s);
      file = readRandom(s, input, ask);
      return { ...file, command };
    },
    (s, container) => run(s, input, container, { relay, file: file! }),
  );
}

/** The words of this time, in a file of so many bytes. */
type RandomFile = WordsFile & { readonly size: number };

/** Digits that nobody else has, in a file. */
function readRandom(s: Scope, { id, token, network, stored }: RunInput, ask: Label): RandomFile {
  const { p } = s;
  const text = p.variable("random digits", RANDOM_SIZE);
  const [from, fd] = [s.descriptor("random"), s.descriptor("random digits' file")];
  p.call("openat", [AT_FDCWD, p.string(RANDOM), O_RDONLY | O_CLOEXEC, 0], {
    result: from,
    negative: ask,
  });
  p.call("read", [valueOf(from), text, RANDOM_SIZE], { negative: ask });
  p.call("close", [valueOf(from)], { negative: NEXT });
  p.call("memfd_create", [p.string("random"), MFD_CLOEXEC], { result: fd, negative: ask });
  p.call("write", [valueOf(fd), text, RANDOM_SIZE], { negative: ask });
  const word = (last: string, at: number): Word => ({ text: last, place: placeIn(text, at), at });
  const digits = [token, ...network?.digits ?? []].map((last) => word(last, TOKEN_AT));
  const words = [...id === undefined ? [] : [word(id, ID_AT)], ...digits];
  if (stored === undefined) return { fd, words, size: RANDOM_SIZE };
  // Those of the id and of the token once more, without anything between them.
  const more = p.variable("more digits", stored.digits.length);
  for (const at of [TOKEN_AT, ID_AT]) {
    p.call("write", [valueOf(fd), addressOf(text, at), more.size / 2], { negative: ask });
  }
  p.call("pread64", [valueOf(fd), more, more.size, RANDOM_SIZE], { negative: ask });
  words.push({ text: stored.digits, place: placeIn(more, 0), at: RANDOM_SIZE });
  return { fd, words, size: RANDOM_SIZE + more.size };
}

function run(
  s: Scope,
  input: RunInput,
  claimed: ClaimedContainer,
  { relay, file }: { readonly relay?: ComingRelay; readonly file: RandomFile },
): void {
  const { p } = s;
  const { detached, request, note, network, stored } = input;
  const { own } = claimed;
  const made = stored === undefined ? claimed.remove : makeFiles(s, stored, own, claimed.remove);
  const place = network && takePlace(s, network, { file, own }, made);
  const container = { ...claimed, remove: place?.remove ?? made };
  const none = s.descriptor("/dev/null");
  const usesNone = detached !== undefined || !input.input;
  if (usesNone) {
    p.call("openat", [AT_FDCWD, p.string("/dev/null"), O_RDWR | O_CLOEXEC, 0], {
      result: none,
      negative: container.remove,
    });
  }
  const stdin = usesNone ? valueOf(none) : 0;
  const program = p.bytes(input.program, "the program");
  const { started, told } = startWalked(s, input, container, {
    program,
    ...request.command && { argv: commandAt(request) },
    ...place && { held: [place.held], attach: place.attach },
    standard: detached === undefined ? [stdin, 1, 2] : [stdin, stdin, stdin],
  });
  requireMonitor(s, started, told);
  // What was called last is forgotten last.
  if (note !== undefined) p.call("utimensat", [AT_FDCWD, p.string(note), 0, 0], { negative: NEXT });
  if (relay !== undefined) {
    dropConstant(s, program);
    becomeRelay(s, started, told, relay);
  }
  if (detached !== undefined) printName(s, container.own, detached.name);
}

const PAGE = 4096;

/** Gives back the memory of a constant, which is the file's: it is read again when it is looked at. */
function dropConstant(s: Scope, constant: Cell): void {
  const { p } = s;
  const from = p.variable("first whole page", 4);
  const size = constant.size - constant.size % PAGE - PAGE;
  if (size <= 0) return;
  p.compute(addressOf(constant, PAGE - 1), 0, -PAGE, { result: from });
  p.call("madvise", [valueOf(from), size, MADV_DONTNEED], { negative: NEXT });
}

/** As `print`. */
function printName(s: Scope, own: Words, name: string): void {
  const { p } = s;
  const result = s.descriptor("printed");
  const [failed, unread] = [s.label("not printed"), s.label("nobody reads")];
  const text = encodeText("crate: standard output does not take the container's name\n");
  const line = `${name}\n`;
  p.call("write", [1, own.string(line), encodeText(line).length], { result, negative: failed });
  p.call("exit_group", [0]);
  p.place(failed);
  p.jumpIfEqual(valueOf(result), -EPIPE, unread);
  p.call("write", [2, p.bytes(text, "what has happened"), text.length], { negative: NEXT });
  p.call("exit_group", [SETUP_FAILED]);
  p.place(unread);
  p.call("exit_group", [NOBODY_READS]);
}
