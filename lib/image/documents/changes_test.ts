import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import type { ExecutionConfig } from "../types.ts";
import { applyChanges } from "./changes.ts";

const changed = (...changes: string[]) =>
  applyChanges({ Env: ["PATH=/bin"], WorkingDir: "/a" }, changes);

Deno.test("each instruction changes its field", () => {
  const { Env, ...rest } = changed(
    'ENTRYPOINT ["/bin/echo"]',
    "cmd echo $HOME",
    'ENV A=1 B="2 \\"3\\"" PATH=/usr/bin C=d\\ e D=\'$x\'',
    "EXPOSE 80 53/udp",
    "LABEL kind=test",
    'LABEL more "old form"',
    "USER app:app",
    'VOLUME ["/data"]',
    "VOLUME /x /y",
    "WORKDIR b",
    "STOPSIGNAL SIGINT",
    "ONBUILD RUN true",
  );
  assert.deepEqual(Env, ["PATH=/usr/bin", "A=1", 'B=2 "3"', "C=d e", "D=$x"]);
  assert.deepEqual(rest, {
    WorkingDir: "/a/b",
    Entrypoint: ["/bin/echo"],
    Cmd: ["/bin/sh", "-c", "echo $HOME"],
    ExposedPorts: { "80/tcp": {}, "53/udp": {} },
    Labels: { kind: "test", more: "old form" },
    User: "app:app",
    Volumes: { "/data": {}, "/x": {}, "/y": {} },
    StopSignal: "SIGINT",
    OnBuild: ["RUN true"],
  });
});

Deno.test("a new entrypoint takes the old command away, not a new one, and podman's equals sign is one", () => {
  const of = (before: ExecutionConfig, ...changes: string[]) => {
    const { Entrypoint, Cmd } = applyChanges(before, changes);
    return [Entrypoint, Cmd];
  };
  const init = ["/bin/sh", "-c", "/bin/init"];
  assert.deepEqual(of({ Cmd: ["old"] }, "ENTRYPOINT=/bin/init"), [init, undefined]);
  assert.deepEqual(of({ Cmd: ["old"] }, 'CMD=["a"]', "ENTRYPOINT=/bin/init"), [init, ["a"]]);
  assert.deepEqual(of({ Cmd: ["old"] }, "ENTRYPOINT=/bin/init", 'CMD=["a"]'), [init, ["a"]]);
});

Deno.test("what is no instruction is refused by its words", () => {
  const cases: [string, RegExp][] = [
    ["RUN true", /^--change RUN true: it begins with one of CMD, ENTRYPOINT, ENV, /],
    ["", /it begins with one of/],
    ["CMD", /^--change CMD: has no value$/],
    ['CMD ["a"', /must be a JSON list of strings/],
    ["CMD [1]", /must be a JSON list of strings/],
    ["ENV A", /it is NAME=VALUE/],
    ['ENV A="b', /it is NAME=VALUE/],
    ["EXPOSE http", /http is no port/],
  ];
  for (const [change, reason] of cases) {
    assert.throws(() => changed(change), (error) => {
      assert.ok(error instanceof CrateError);
      assert.match(error.message, reason);
      return true;
    });
  }
});
