import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import {
  collectPorts,
  formatHost,
  formatPort,
  isAny,
  parseExposed,
  parsePublish,
} from "./ports.ts";
import type { PortRequest } from "./types.ts";

const refused = (sentence: string) => (error: unknown) => {
  assert(error instanceof CrateError && error.code === "INVALID", String(error));
  assert.equal(error.message, sentence);
  return true;
};

Deno.test("a published port is an address, a port of the host, one of the container, a protocol", () => {
  const cases: [word: string, port: PortRequest][] = [
    ["80", { protocol: "tcp", containerPort: 80 }],
    ["53/udp", { protocol: "udp", containerPort: 53 }],
    ["53/UDP", { protocol: "udp", containerPort: 53 }],
    ["8080:80", { protocol: "tcp", hostPort: 8080, containerPort: 80 }],
    ["0:80", { protocol: "tcp", containerPort: 80 }],
    ["127.0.0.1:0:80", { protocol: "tcp", hostAddress: "127.0.0.1", containerPort: 80 }],
    [":80", { protocol: "tcp", containerPort: 80 }],
    ["127.0.0.1::80", { protocol: "tcp", hostAddress: "127.0.0.1", containerPort: 80 }],
    ["0.0.0.0:1:2", { protocol: "tcp", hostAddress: "0.0.0.0", hostPort: 1, containerPort: 2 }],
    ["[::1]:1:2/sctp", { protocol: "sctp", hostAddress: "::1", hostPort: 1, containerPort: 2 }],
    ["[2001:db8::1]::65535", {
      protocol: "tcp",
      hostAddress: "2001:db8::1",
      containerPort: 65535,
    }],
  ];
  for (const [word, port] of cases) assert.deepEqual(parsePublish(word), [port], word);
});

Deno.test("a range is its ports, one by one", () => {
  assert.deepEqual(
    parsePublish("127.0.0.1:8000-8002:80-82/udp"),
    [0, 1, 2].map((i) => ({
      protocol: "udp",
      hostAddress: "127.0.0.1",
      hostPort: 8000 + i,
      containerPort: 80 + i,
    })),
  );
  assert.deepEqual(parsePublish("80-81").map(({ containerPort }) => containerPort), [80, 81]);
  assert.equal(parsePublish("1-1000").length, 1000);
});

Deno.test("what is no published port is refused in a sentence that says why", () => {
  const form = "it is [ADDRESS:][HOST:]CONTAINER[/PROTOCOL]";
  const cases: [word: string, why: string][] = [
    ["", form],
    ["1:2:3:4", '"1:2" is no address'],
    ["80/tcp/udp", form],
    ["::1:80:80", '"::1" is no address'],
    ["80/", 'the protocol is tcp, udp or sctp, not ""'],
    ["x", '"x" is no port, and no range such as 8000-8010'],
    ["8 0", '"8 0" is no port, and no range such as 8000-8010'],
    ["-1", '"-1" is no port, and no range such as 8000-8010'],
    ["123456", '"123456" is no port, and no range such as 8000-8010'],
    ["0-1:80-81", "0-1: ports are 1 to 65535"],
    ["0", "0: ports are 1 to 65535"],
    ["80:65536", "65536: ports are 1 to 65535"],
    ["82-80", "82-80: the range ends before it begins"],
    ["1-1001", "1001 ports are more than 1000"],
    ["80:80-81", "the ranges 80 and 80-81 differ in length"],
    ["127.1:80:80", '"127.1" is no address'],
  ];
  for (const [word, why] of cases) {
    assert.throws(() => parsePublish(word), (error: unknown) => {
      assert(error instanceof CrateError && error.code === "INVALID");
      assert(error.message.startsWith(`--publish ${word}: `), error.message);
      if (!["1:2:3:4", "::1:80:80"].includes(word)) {
        assert.equal(error.message, `--publish ${word}: ${why}`);
      }
      return true;
    }, word);
  }
});

const port = fc.integer({ min: 1, max: 65535 });
const requests = fc.record({
  protocol: fc.constantFrom("tcp" as const, "udp" as const, "sctp" as const),
  hostAddress: fc.constantFrom(undefined, "127.0.0.1", "0.0.0.0", "::", "2001:db8::1"),
  hostPort: fc.option(port, { nil: undefined }),
  containerPort: port,
});

/** As a user writes one. */
function wordOf({ protocol, hostAddress, hostPort, containerPort }: PortRequest): string {
  const address = hostAddress?.includes(":") ? `[${hostAddress}]` : hostAddress;
  const host = address === undefined && hostPort === undefined ? "" : `${hostPort ?? ""}:`;
  return `${address === undefined ? "" : `${address}:`}${host}${containerPort}/${protocol}`;
}

Deno.test("every port that can be asked for is understood as it is written", () => {
  fc.assert(fc.property(requests, (request) => {
    const [found, ...more] = parsePublish(wordOf(request));
    assert.deepEqual({ hostAddress: undefined, hostPort: undefined, ...found }, { ...request });
    assert.deepEqual(more, []);
  }));
});

Deno.test("whatever is written is ports within bounds, or a sentence", () => {
  const letters = fc.string({
    unit: fc.constantFrom(..."0123456789:-/[]. tcpudx"),
    maxLength: 20,
  });
  fc.assert(
    fc.property(letters, (word) => {
      try {
        for (const { hostPort = 1, containerPort } of parsePublish(word)) {
          assert(
            hostPort >= 1 && hostPort <= 65535 && containerPort >= 1 && containerPort <= 65535,
          );
        }
      } catch (error) {
        assert(error instanceof CrateError && error.code === "INVALID", String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("a port that is named twice is published once, and not as two", () => {
  const ports = ["80:80", "80:80", "80:80/udp", "127.0.0.1:80:80", "81", "81"];
  assert.equal(collectPorts(ports.flatMap(parsePublish)).length, 4);
  assert.throws(
    () => collectPorts(["80:80", "80:81"].flatMap(parsePublish)),
    refused("--publish: port 80/tcp of the host cannot be both 80 and 81 of the container"),
  );
  assert.throws(
    () => collectPorts(["1-600:1-600", "1001-1600:1001-1600"].flatMap(parsePublish)),
    refused("--publish: 1200 ports are more than 1000"),
  );
});

Deno.test("an exposed port has no port of the host", () => {
  assert.deepEqual(parseExposed("53/udp"), [{ protocol: "udp", containerPort: 53 }]);
  assert.equal(parseExposed("8000-8010").length, 11);
  assert.throws(() => parseExposed("80:80"), CrateError);
});

Deno.test("a port is shown as docker shows it", () => {
  const mapping = { protocol: "tcp", hostPort: 8080, containerPort: 80 } as const;
  assert.equal(formatPort(mapping), "80/tcp -> 0.0.0.0:8080");
  assert.equal(formatHost({ ...mapping, hostAddress: "::1" }), "[::1]:8080");
  const every = [undefined, "0.0.0.0", "::", "127.0.0.1"].map(isAny);
  assert.deepEqual(every, [true, true, true, false]);
});
