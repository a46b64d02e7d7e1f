import { close, decodeText, POLLIN, readAll, writeAll } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { PortMapping } from "../../network/mod.ts";
import { FIRST_KEPT } from "../program/mod.ts";
import { untilReady } from "../ready.ts";
import { connectTo } from "../sockets.ts";
import { API } from "./place.ts";
import { cannot } from "./refusal.ts";
import { INTERFACE } from "./types.ts";
import type { UserProgram } from "./user.ts";

/** The resolver that it has in its network: it asks the host's. slirp4netns(1) */
const RESOLVER = "10.0.2.3";
/** The container. */
const GUEST = "10.0.2.100";
const MTU = 65520;
/** Milliseconds until it answers. */
const PATIENCE = 10_000;
const MAX_ANSWER = 1 << 16;

/** Asks for a port of the host, by the socket that it listens on. @throws {CrateError} */
async function forward(socket: string, port: PortMapping): Promise<void> {
  const { protocol, hostAddress = "0.0.0.0", hostPort, containerPort } = port;
  const fd = connectTo(socket, "stream");
  try {
    writeAll(
      fd,
      JSON.stringify({
        execute: "add_hostfwd",
        arguments: {
          proto: protocol,
          host_addr: hostAddress,
          host_port: hostPort,
          guest_addr: GUEST,
          guest_port: containerPort,
        },
      }),
    );
    const answer = await untilReady(fd, POLLIN, PATIENCE)
      ? decodeText(readAll(fd, MAX_ANSWER))
      : "it does not answer";
    if (/"return"/.test(answer)) return;
    const said = /"desc"\s*:\s*"([^"]*)"/.exec(answer)?.[1] ?? answer.trim();
    throw new CrateError(
      "START",
      `--publish: slirp4netns cannot take port ${hostPort}/${protocol} of ${hostAddress}: ${said}`,
    );
  } finally {
    close(fd);
  }
}

/** The container has an address in a network that is the program's own. slirp4netns(1) */
export const slirp: UserProgram = {
  name: "slirp4netns",
  readyBy: "descriptor",
  arguments({ directory, ports }, namespace) {
    if (ports.some(({ hostAddress }) => hostAddress?.includes(":"))) {
      throw cannot("slirp4netns", "publish", "takes IPv4 addresses of the host only");
    }
    return [
      "--configure",
      `--mtu=${MTU}`,
      "--disable-host-loopback",
      "--enable-sandbox",
      "--enable-seccomp",
      ...ports.length === 0 ? [] : [`--api-socket=${directory}/${API}`],
      `--ready-fd=${FIRST_KEPT}`,
      "--netns-type=path",
      namespace,
      INTERFACE,
    ];
  },
  dns: () => [RESOLVER],
  async publish({ directory, ports }) {
    for (const port of ports) await forward(`${directory}/${API}`, port);
  },
};
