import {
  AF_UNIX,
  AT_FDCWD,
  type Label,
  MSG_NOSIGNAL,
  NEXT,
  P_PIDFD,
  placeIn,
  pollfd,
  POLLIN,
  type Program,
  SIGKILL,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  timespec,
  valueOf,
  WEXITED,
} from "../../../ffi/mod.ts";
import { type CreateRequest, readRequest } from "./create_request.ts";
import { RECORD_SIZE, STAGE_CREATED } from "./protocol.ts";
import type { Scope } from "./scope.ts";
import {
  type ClaimedContainer,
  compileWalkedContainer,
  filler,
  type Filling,
  identifyProcess,
  NEW,
  REPLACE,
  type WalkedContainer,
} from "./walked_container.ts";
import {
  awaitProcess,
  type StartedProgram,
  startProgram,
  type ToldProcess,
} from "./walked_exec.ts";

// A container's creation, as a program: an engine creates containers of one kind, which differ in their names alone. Once
// crate has created two of a kind, all is known but the names of the next one. Whoever asks for that walks what crate
// itself does: claims the name, makes the groups, starts the container's program, records who waits.

/** What the creation of a container of a kind by an engine depends on. */
export interface CreateInput extends WalkedContainer {
  readonly request: CreateRequest;
  /** The socket of its start, as struct sockaddr_un. */
  readonly address: Uint8Array;
  readonly verbs: readonly Filling[];
  readonly pidFile?: string;
}

/** Milliseconds: how long the end of a killed process may take. */
const PATIENCE = 10;

/** The program of a container's creation; until the container is created, whatever fails is undone and left to crate. */
export function compileCreateVerb(input: CreateInput): Program {
  return compileWalkedContainer(
    input,
    (s, ask) => readRequest(s, input.request, ask),
    (s, container) => create(s, input, container),
  );
}

function create(s: Scope, input: CreateInput, container: ClaimedContainer): void {
  const { p } = s;
  const { own, clock, directory, write, remove } = container;
  const failed = s.label("failed");
  const socket = s.descriptor("start socket");
  const { length } = input.address;
  const kind = SOCK_SEQPACKET | SOCK_CLOEXEC;
  p.call("socket", [AF_UNIX, kind, 0], { result: socket, negative: remove });
  const address = own.bytes(input.address, "start socket's address");
  p.call("bind", [valueOf(socket), address, length], { negative: remove });
  p.call("listen", [valueOf(socket), 16], { negative: remove });
  const started = startProgram(s, {
    program: (to) => own.write(to, [input.program], remove),
    argv: p.pointers([p.string("crate-create")], "[crate-create]"),
    more: [...container.groups, valueOf(socket)],
    failed: remove,
  });
  const orphaned = s.label("without a program");
  const told = awaitProcess(s, started, orphaned);
  // Its child by now is the engine's.
  p.call("waitid", [P_PIDFD, valueOf(started.pidfd), 0, WEXITED, 0], { negative: NEXT });
  const fill = filler(s, clock, identifyProcess(s, told.pid, failed));
  write("verbs.new", NEW, fill(input.verbs), failed);
  const go = p.bytes(new Uint8Array([1]), "go on");
  const sendGo = () =>
    p.call("sendto", [valueOf(started.control), go, 1, MSG_NOSIGNAL, 0, 0], { negative: failed });
  sendGo();
  awaitCreated(s, started, failed);
  write("process.json.new", REPLACE, fill(input.process), failed);
  for (const name of ["process.json", "verbs"]) {
    const [from, to] = [p.string(`${name}.new`), p.string(name)];
    p.call("renameat2", [valueOf(directory), from, valueOf(directory), to, 0], {
      negative: failed,
    });
  }
  if (input.pidFile !== undefined) {
    const file = s.descriptor("pid file");
    const [to, from] = [own.string(input.pidFile), own.string(`${input.pidFile}.new`)];
    p.call("openat", [AT_FDCWD, from, REPLACE, 0o644], { result: file, negative: failed });
    own.write(valueOf(file), fill([{ own: "pid text" }]), failed);
    p.call("renameat2", [AT_FDCWD, from, AT_FDCWD, to, 0], { negative: failed });
  }
  sendGo();
  const created = s.label("created");
  const record = p.variable("failure", RECORD_SIZE);
  p.call("read", [valueOf(started.report), record, RECORD_SIZE], {
    zero: created,
    negative: failed,
  });
  p.jump(failed);
  p.place(created);
  // What was created last is forgotten last.
  p.call("utimensat", [AT_FDCWD, p.string(input.request.note), 0, 0], { negative: NEXT });
  p.call("exit_group", [0]);

  p.place(failed);
  endProcess(s, told);
  p.place(orphaned);
  for (const end of [started.control, started.report]) {
    p.call("close", [valueOf(end)], { negative: NEXT });
  }
  p.call("waitid", [P_PIDFD, valueOf(started.pidfd), 0, WEXITED, 0], { negative: NEXT });
  p.jump(remove);
}

/** Ends the container's first process, which is not a child of this one. */
function endProcess(s: Scope, { pidfd }: ToldProcess): void {
  const { p } = s;
  const polled = p.variable("ended", pollfd.size, pollfd.pack({ events: POLLIN }));
  const patience = p.bytes(timespec.pack({ tv_sec: PATIENCE }), `${PATIENCE} s`);
  p.set(placeIn(polled, 0), valueOf(pidfd));
  p.call("pidfd_send_signal", [valueOf(pidfd), SIGKILL, 0, 0], { negative: NEXT });
  p.call("ppoll", [polled, 1, patience, 0, 8], { negative: NEXT });
}

/** Waits until the container's init is at the stage of a created one, and at no other before. */
function awaitCreated(s: Scope, { report }: StartedProgram, failed: Label): void {
  const { p } = s;
  const record = p.variable("stage", RECORD_SIZE);
  const expected = new Uint8Array(RECORD_SIZE);
  expected[8] = STAGE_CREATED;
  const created = s.label("at its stage");
  p.call("read", [valueOf(report), record, RECORD_SIZE], { zero: failed, negative: failed });
  p.compare(record, p.bytes(expected, "created"), RECORD_SIZE, created, failed);
  p.place(created);
}
