import { SyscallError } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { type Call, CallError, Connection, isVariant, type Value } from "./dbus/mod.ts";
import type { Property } from "./property.ts";

const DESTINATION = "org.freedesktop.systemd1";
const PATH = "/org/freedesktop/systemd1";
const INTERFACE = "org.freedesktop.systemd1.Manager";
const BUS = "org.freedesktop.DBus";
/** How long a job may take; as runc has it. */
const JOB_PATIENCE = 30_000;
/** Whatever stands in the way of a job goes. */
const MODE = "replace";

/** A socket on which a manager is to be reached, by itself or behind a bus. */
interface Place {
  readonly path: string;
  readonly bus: boolean;
}

/** Where a manager listens: its own socket, to which only its user may connect, and a bus. */
function placesOf(user: boolean): Place[] {
  if (!user) {
    return [
      { path: "/run/systemd/private", bus: false },
      { path: "/run/dbus/system_bus_socket", bus: true },
    ];
  }
  const runtime = Deno.env.get("XDG_RUNTIME_DIR");
  const address = Deno.env.get("DBUS_SESSION_BUS_ADDRESS");
  const bus = /(?:^|;)unix:(?:[^;]*,)?path=([^,;]+)/.exec(address ?? "")?.[1];
  return [
    ...runtime ? [{ path: `${runtime}/systemd/private`, bus: false }] : [],
    ...bus ? [{ path: bus, bus: true }] : runtime ? [{ path: `${runtime}/bus`, bus: true }] : [],
  ];
}

/** Waiting times, milliseconds. */
export interface ManagerOptions {
  /** For an answer. */
  readonly patience?: number;
  /** For the end of a job. */
  readonly jobPatience?: number;
}

/** A conversation with systemd; disposing of it ends it. org.freedesktop.systemd1(5) */
export class Manager implements Disposable {
  private constructor(
    readonly connection: Connection,
    readonly bus: boolean,
    readonly jobPatience: number,
  ) {}

  /**
   * Connects to the system's manager, or a user's.
   *
   * @throws {CrateError} `UNSUPPORTED` when there is none; `PERMISSION`.
   */
  static open(user: boolean): Manager {
    const places = placesOf(user);
    let cause: SyscallError | undefined;
    for (const place of places) {
      try {
        return Manager.at(place);
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
        cause = error;
      }
    }
    const whose = user ? "the user's systemd" : "systemd";
    const where = places.map(({ path }) => path).join(" or ") ||
      "XDG_RUNTIME_DIR, which is not set";
    const denied = cause?.code === "EACCES" || cause?.code === "EPERM";
    throw new CrateError(
      denied ? "PERMISSION" : "UNSUPPORTED",
      `${whose} does not listen at ${where}${cause === undefined ? "" : `: ${cause.code}`}; ` +
        "without --systemd-cgroup crate makes the groups itself",
      { cause },
    );
  }

  /** Connects to a manager at a socket. @throws {SyscallError} when nobody listens. @throws {CrateError} */
  static at({ path, bus }: Place, { patience, jobPatience }: ManagerOptions = {}): Manager {
    const connection = Connection.open(path, patience);
    try {
      const manager = new Manager(connection, bus, jobPatience ?? JOB_PATIENCE);
      if (bus) manager.#greetBus();
      return manager;
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.connection[Symbol.dispose]();
  }

  /** systemd's version, a whole number. @throws {CrateError} */
  version(): number {
    return parseInt(this.#property("Version").replace(/^\D*/, "")) || 0;
  }

  /** The group that its slices are in, below the hierarchies' own: empty for the system's. @throws {CrateError} */
  group(): string {
    return this.#property("ControlGroup").replace(/\/$/, "");
  }

  /**
   * Starts a unit that exists nowhere but in systemd. A unit of the same name that has failed is cleared away.
   *
   * @throws {CrateError} `EXISTS` when there is one; `FAILED` with what systemd says; nothing is left then.
   */
  start(unit: string, properties: readonly Property[]): void {
    const values = properties.map(({ name, signature, value }) => [name, { signature, value }]);
    const begin = () =>
      this.#job("StartTransientUnit", "ssa(sv)a(sa(sv))", [unit, MODE, values, []]);
    let job: string;
    try {
      job = begin();
    } catch (error) {
      if (!isUnitExists(error)) throw error;
      this.#resetFailed(unit);
      try {
        job = begin();
      } catch (again) {
        if (!isUnitExists(again)) throw again;
        throw new CrateError(
          "EXISTS",
          `systemd has a unit ${unit} already: another container has it, or left it behind ` +
            `(systemctl stop ${unit})`,
          { cause: again },
        );
      }
    }
    const result = this.#result(job);
    if (result === "done") return;
    try {
      this.stop(unit);
    } catch (error) {
      // Why it does not stop either is not what went wrong.
      if (!(error instanceof CrateError)) throw error;
    }
    throw new CrateError(
      "FAILED",
      result === undefined
        ? `systemd has not started ${unit} within ${this.jobPatience / 1000} seconds`
        : `systemd cannot start ${unit}: its job ended as "${result}" (systemctl status ${unit})`,
    );
  }

  /** Changes properties of a unit, until the machine is booted again. @throws {CrateError} */
  set(unit: string, properties: readonly Property[]): void {
    if (properties.length === 0) return;
    const values = properties.map(({ name, signature, value }) => [name, { signature, value }]);
    this.#call("SetUnitProperties", "sba(sv)", [unit, true, values]);
  }

  /** Stops a unit and forgets it; one that is not there is fine. @throws {CrateError} */
  stop(unit: string): void {
    try {
      const job = this.#job("StopUnit", "ss", [unit, MODE]);
      const result = this.#result(job);
      if (result === undefined) {
        throw new CrateError(
          "FAILED",
          `systemd has not stopped ${unit} within ${this.jobPatience / 1000} seconds`,
        );
      }
    } catch (error) {
      if (!isNoSuchUnit(error)) throw error;
    }
    this.#resetFailed(unit);
  }

  #resetFailed(unit: string): void {
    try {
      this.#call("ResetFailedUnit", "s", [unit]);
    } catch (error) {
      // It went meanwhile, or had not failed.
      if (!(error instanceof CallError)) throw error;
    }
  }

  /** How a job has ended; undefined when it has not in time. */
  #result(job: string): string | undefined {
    const signal = this.connection.signal(
      ({ member, body }) => member === "JobRemoved" && body[1] === job,
      this.jobPatience,
    );
    return signal && String(signal.body[3]);
  }

  #job(member: string, signature: string, body: readonly Value[]): string {
    const [job] = this.#call(member, signature, body);
    if (typeof job === "string") return job;
    throw new CrateError("FAILED", `systemd answers ${member} without a job`);
  }

  #property(name: string): string {
    const [variant] = this.#call("Get", "ss", [INTERFACE, name], `${BUS}.Properties`);
    if (variant !== undefined && isVariant(variant) && typeof variant.value === "string") {
      return variant.value;
    }
    throw new CrateError("FAILED", `systemd answers no text for its ${name}`);
  }

  #call(
    member: string,
    signature: string,
    body: readonly Value[],
    of = INTERFACE,
  ): readonly Value[] {
    const call: Call = { path: PATH, interface: of, member, signature, body };
    return this.connection.call(this.bus ? { ...call, destination: DESTINATION } : call);
  }

  /** A bus wants a greeting, and passes on only the signals that are asked for. */
  #greetBus(): void {
    const onBus = (member: string, signature = "", body: readonly Value[] = []) =>
      this.connection.call({
        destination: BUS,
        path: "/org/freedesktop/DBus",
        interface: BUS,
        member,
        signature,
        body,
      });
    onBus("Hello");
    const rule =
      `type='signal',sender='${DESTINATION}',interface='${INTERFACE}',member='JobRemoved'`;
    onBus("AddMatch", "s", [rule]);
    this.#call("Subscribe", "", []);
  }
}

function isUnitExists(error: unknown): boolean {
  return error instanceof CallError && error.error === `${DESTINATION}.UnitExists`;
}

function isNoSuchUnit(error: unknown): boolean {
  return error instanceof CallError && error.error === `${DESTINATION}.NoSuchUnit`;
}
