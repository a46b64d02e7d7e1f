import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import type { Behaviour } from "./_mock.ts";
import { Manager, type ManagerOptions } from "./manager.ts";

type Call = { member: string; body: unknown[] };

/** A manager that talks to a mock of this behaviour; and what the mock has been asked. */
async function withMock(
  behaviour: Omit<Behaviour, "path">,
  use: (manager: () => Manager) => void,
  { bus = false, ...options }: ManagerOptions & { bus?: boolean } = {},
): Promise<Call[]> {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/socket`;
  const worker = new Worker(new URL("./_mock.ts", import.meta.url), { type: "module" });
  const calls: Call[] = [];
  try {
    const ready = Promise.withResolvers<void>();
    worker.onmessage = ({ data }) => data === "ready" ? ready.resolve() : calls.push(data);
    worker.postMessage({ ...behaviour, path });
    await ready.promise;
    use(() => Manager.at({ path, bus }, options));
    // What it has been asked is still on its way.
    await new Promise((resolve) => setTimeout(resolve, 20));
    return calls;
  } finally {
    worker.terminate();
    Deno.removeSync(directory, { recursive: true });
  }
}

const TASKS = { name: "TasksMax", signature: "t", value: 5n } as const;
const members = (calls: readonly Call[]) => calls.map(({ member }) => member);

function refused(act: () => unknown, code: string, message: RegExp): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof CrateError, String(error));
    assert.match(error.message, message);
    assert.equal(error.code, code);
    return true;
  });
}

Deno.test("a unit is started, changed and stopped, each when its job has ended", async () => {
  for (const job of ["done", "early"]) {
    const calls = await withMock({ job }, (open) => {
      using manager = open();
      assert.equal(manager.version(), 252);
      manager.start("a.scope", [TASKS]);
      manager.set("a.scope", [TASKS]);
      manager.set("a.scope", []);
      manager.stop("a.scope");
    });
    assert.deepEqual(members(calls), [
      "Get",
      "StartTransientUnit",
      "SetUnitProperties",
      "StopUnit",
      "ResetFailedUnit",
    ]);
    assert.deepEqual(calls[1]!.body, [
      "a.scope",
      "replace",
      [["TasksMax", { signature: "t", value: 5n }]],
      [],
    ]);
    assert.deepEqual(calls[2]!.body[1], true);
  }
});

Deno.test("on a bus it introduces itself and asks for the signals first", async () => {
  const calls = await withMock({}, (open) => {
    using manager = open();
    manager.start("a.scope", []);
  }, { bus: true });
  assert.deepEqual(members(calls), ["Hello", "AddMatch", "Subscribe", "StartTransientUnit"]);
});

Deno.test("a job that fails leaves no unit and says how it ended", async () => {
  const calls = await withMock({ job: "failed" }, (open) => {
    using manager = open();
    refused(() => manager.start("a.scope", []), "FAILED", /a\.scope: its job ended as "failed"/);
  });
  assert.deepEqual(members(calls), ["StartTransientUnit", "StopUnit", "ResetFailedUnit"]);
});

Deno.test("a job that does not end in time is given up", async () => {
  const begun = performance.now();
  await withMock({ job: "never" }, (open) => {
    using manager = open();
    refused(() => manager.start("a.scope", []), "FAILED", /not started a\.scope within 0\.05 s/);
  }, { jobPatience: 50 });
  assert.ok(performance.now() - begun < 5000);
});

Deno.test("a failed unit of the name is cleared away once, one that lives is not touched", async () => {
  const exists = "systemd1.UnitExists";
  const cleared = await withMock({ start: [exists] }, (open) => {
    using manager = open();
    manager.start("a.scope", []);
  });
  const twice = ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"];
  assert.deepEqual(members(cleared), twice);
  const kept = await withMock({ start: [exists, exists] }, (open) => {
    using manager = open();
    refused(() => manager.start("a.scope", []), "EXISTS", /systemd has a unit a\.scope already/);
  });
  assert.deepEqual(members(kept), twice);
});

Deno.test("what systemd refuses is told in its words, and a right that is missing as that", async () => {
  await withMock({ start: ["DBus.Error.InvalidArgs", "DBus.Error.AccessDenied"] }, (open) => {
    using manager = open();
    const start = () => manager.start("a.scope", []);
    refused(start, "FAILED", /refuses StartTransientUnit: the mock says DBus\.Error\.InvalidArgs/);
    refused(start, "PERMISSION", /AccessDenied/);
  });
});

Deno.test("a unit that is gone is stopped", async () => {
  await withMock({ stop: "systemd1.NoSuchUnit" }, (open) => {
    using manager = open();
    manager.stop("a.scope");
  });
  await withMock({ stop: "DBus.Error.Failed" }, (open) => {
    using manager = open();
    refused(() => manager.stop("a.scope"), "FAILED", /refuses StopUnit/);
  });
});

Deno.test("a systemd that goes, is silent, or talks nonsense is told from one that refuses", async () => {
  await withMock({ closeAfter: 1 }, (open) => {
    using manager = open();
    manager.version();
    refused(() => manager.start("a.scope", []), "FAILED", /connection was closed|ECONNRESET/);
  });
  await withMock({ silentAfter: 0 }, (open) => {
    using manager = open();
    refused(() => manager.version(), "FAILED", /does not answer Get: nothing came in time/);
  }, { patience: 50 });
  await withMock({ garbage: true }, (open) => {
    using manager = open();
    refused(() => manager.version(), "FAILED", /no message of version 1/);
  });
  await withMock({ greeting: "REJECTED EXTERNAL\r\n" }, (open) => {
    refused(open, "PERMISSION", /does not take this user: REJECTED/);
  });
  await withMock({ greeting: "x".repeat(8192) }, (open) => {
    refused(open, "FAILED", /speaks no D-Bus/);
  });
});

Deno.test("where nobody listens it is said where one should", () => {
  const runtime = Deno.env.get("XDG_RUNTIME_DIR");
  const address = Deno.env.get("DBUS_SESSION_BUS_ADDRESS");
  Deno.env.delete("DBUS_SESSION_BUS_ADDRESS");
  try {
    Deno.env.set("XDG_RUNTIME_DIR", "/nowhere");
    const open = () => Manager.open(true);
    refused(open, "UNSUPPORTED", /at \/nowhere\/systemd\/private or \/nowhere\/bus: ENOENT/);
    Deno.env.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/there,guid=1");
    refused(open, "UNSUPPORTED", /at \/nowhere\/systemd\/private or \/there: ENOENT/);
    Deno.env.delete("DBUS_SESSION_BUS_ADDRESS");
    Deno.env.delete("XDG_RUNTIME_DIR");
    refused(open, "UNSUPPORTED", /XDG_RUNTIME_DIR, which is not set/);
  } finally {
    if (runtime !== undefined) Deno.env.set("XDG_RUNTIME_DIR", runtime);
    if (address !== undefined) Deno.env.set("DBUS_SESSION_BUS_ADDRESS", address);
  }
});
