import assert from "node:assert/strict";
import { exists, readDirectory } from "../../ffi/mod.ts";
import { networkPlaces } from "../../lib/network/mod.ts";
import { type Result, Running } from "./running.ts";
import { EMULATED, type Sandbox, test, type TestOptions, until } from "./sandbox.ts";

// Traffic goes to network namespaces of the test's own and nowhere else. Each is held by a process, and not by a
// mount below /run/netns, so that nothing stays when the test is killed.

const SERVER = new URL("./echo_server.ts", import.meta.url).pathname;
/** How long somebody waits for an answer that is to come, and for one that is not; seconds. */
const PATIENCE = EMULATED ? 30 : 10;
const IMPATIENCE = EMULATED ? 4 : 1;

/** An interface as `ip -j` shows it. */
export interface ShownLink {
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly master?: string;
  readonly operstate: string;
  readonly addr_info: readonly { readonly local: string; readonly scope: string }[];
}

/** A route as `ip -j` shows it. */
export interface ShownRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
}

/** Programs in the network namespace of a process: one of the test's own, or a container's. */
export class Place {
  constructor(readonly pid: number) {}

  words(words: readonly string[]): string[] {
    return ["nsenter", "-t", `${this.pid}`, "-n", "--", ...words];
  }

  /** Runs a script of bash to its end. */
  async run(script: string, ...args: readonly string[]): Promise<Result> {
    return await new Running(this.words(["bash", "-c", script, "bash", ...args])).ended;
  }

  /** Runs a script of bash, which must succeed. @returns what it printed. */
  async ok(script: string, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(script, ...args);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, script);
    return stdout.trimEnd();
  }

  /** What a server answers to a line: `NAME saw ADDRESS`; undefined when nobody does. */
  async ask(
    address: string,
    port: number,
    { protocol = "tcp", patience = PATIENCE }: { protocol?: "tcp" | "udp"; patience?: number } = {},
  ): Promise<string | undefined> {
    // A packet is read as a whole or lost: not by bash, which reads byte by byte.
    const script = 'exec 3<>"/dev/$1/$2/$3" && echo ask >&3 && head -n 1 <&3';
    const words = ["timeout", `${patience}`, "bash", "-c", script, "bash"];
    const bash = this.words([...words, protocol, address, `${port}`]);
    const { code, stdout } = await new Running(bash).ended;
    return code === 0 && stdout !== "" ? stdout.trimEnd() : undefined;
  }

  /** Asserts that nobody answers. */
  async assertSilent(
    address: string,
    port: number,
    options: { protocol?: "tcp" | "udp" } = {},
  ): Promise<void> {
    const answer = await this.ask(address, port, { ...options, patience: IMPATIENCE });
    assert.equal(answer, undefined, `${address} port ${port}`);
  }

  /** Its interfaces but the loopback. */
  async links(): Promise<ShownLink[]> {
    const links: ShownLink[] = JSON.parse(await this.ok("ip -j address"));
    return links.filter(({ ifname }) => ifname !== "lo");
  }

  async link(name: string): Promise<ShownLink> {
    const found = (await this.links()).find(({ ifname }) => ifname === name);
    assert(found, `there is no interface ${name}`);
    return found;
  }

  async routes(family: "-4" | "-6" = "-4"): Promise<ShownRoute[]> {
    return JSON.parse(await this.ok(`ip -j ${family} route`));
  }

  /** What nft has; none: "". */
  async ruleset(): Promise<string> {
    return await this.ok("nft list ruleset");
  }

  /** Starts a server that answers each line, and each packet, with `NAME saw ADDRESS`: `tcp:80`, `udp:53`. */
  async serve(name: string, ...ports: readonly string[]): Promise<AsyncDisposable> {
    const deno = [Deno.execPath(), "run", "-A", "--no-check", "--quiet", "--unstable-net"];
    const server = new Running(this.words([...deno, SERVER, name, ...ports]));
    await server.printed("ready");
    return {
      async [Symbol.asyncDispose]() {
        server.signal("SIGKILL");
        await server.ended;
      },
    };
  }
}

/** A machine: a network namespace that a process of its own holds. */
export class Host extends Place implements AsyncDisposable {
  readonly #holder: Running;

  private constructor(holder: Running) {
    super(holder.pid);
    this.#holder = holder;
  }

  static async start(): Promise<Host> {
    const script = "ip link set lo up && echo ready && exec sleep infinity";
    const holder = new Running(["unshare", "-n", "sh", "-c", script]);
    await holder.printed("ready");
    return new Host(holder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.signal("SIGKILL");
    await this.#holder.ended;
  }
}

/** Addresses of the two machines; RFC 5737, RFC 3849. */
export const HOST = { ip: "192.0.2.1", ip6: "2001:db8::1" } as const;
export const OUTSIDE = { ip: "192.0.2.2", ip6: "2001:db8::2" } as const;

/** Another machine, on a cable to the first: the first one's way out. */
export async function startOutside(host: Host): Promise<Host> {
  const outside = await Host.start();
  await host.ok(
    `ip link add uplink type veth peer name eth0 netns ${outside.pid}
ip address add ${HOST.ip}/24 dev uplink && ip address add ${HOST.ip6}/64 dev uplink nodad
ip link set uplink up`,
  );
  await outside.ok(
    `ip address add ${OUTSIDE.ip}/24 dev eth0 && ip address add ${OUTSIDE.ip6}/64 dev eth0 nodad
ip link set eth0 up`,
  );
  await host.ok(
    `ip route add default via ${OUTSIDE.ip} && ip -6 route add default via ${OUTSIDE.ip6}`,
  );
  return outside;
}

/** Where a container is: its network namespace. */
export async function placeOf(box: Sandbox, id: string): Promise<Place> {
  return new Place(await box.running(id));
}

/** A detached container that does nothing. @returns its id. */
export async function idle(box: Sandbox, ...options: readonly string[]): Promise<string> {
  return await box.ok(["run", "-d", "-r", box.rootfs, ...options, "sleep", "1000000"]);
}

/** A detached container that answers on TCP port 80 with its host name. @returns its id. */
export async function serving(box: Sandbox, ...options: readonly string[]): Promise<string> {
  const command = ["nc", "-ll", "-p", "80", "-e", "hostname"];
  const id = await box.ok(["run", "-d", "-r", box.rootfs, ...options, ...command]);
  const place = await placeOf(box, id);
  await until(
    `${id} listens`,
    async () => (await place.ok("ss -ltnH sport = :80")) !== "",
  );
  return id;
}

/** What a container has on a network, as `crate network inspect` tells. */
export interface ShownMember {
  readonly Name: string;
  readonly Interface: string;
  readonly MacAddress: string;
  readonly IPv4Address: string;
  readonly IPv6Address: string;
}

/** A network as `crate network inspect` tells. */
export interface ShownNetwork {
  readonly Name: string;
  readonly Driver: string;
  readonly Internal: boolean;
  readonly Interface: string;
  readonly EnableIPv6: boolean;
  readonly Mtu?: number;
  readonly IPAM: {
    readonly Config: readonly { readonly Subnet: string; readonly Gateway: string }[];
  };
  readonly Containers: Readonly<Record<string, ShownMember>>;
  readonly Labels: Readonly<Record<string, string>>;
}

/** `crate network inspect`. */
export async function inspected(box: Sandbox, name = "crate0"): Promise<ShownNetwork> {
  return JSON.parse(await box.ok(["network", "inspect", name]))[0];
}

/** The addresses of a container on a network. */
export async function addressesOf(
  box: Sandbox,
  id: string,
  network = "crate0",
): Promise<{ ip: string; ip6: string }> {
  const { Containers } = await inspected(box, network);
  const { IPv4Address, IPv6Address } = Containers[id]!;
  return { ip: IPv4Address.split("/")[0]!, ip6: IPv6Address.split("/")[0]! };
}

/** What an attachment leaves on the host, that is to be gone with its container. */
export function attachments(box: Sandbox): { state: string[]; files: string[] } {
  const { state } = networkPlaces(box.imageRoot);
  const known: object = JSON.parse(Deno.readTextFileSync(`${state}/state.json`)).attachments;
  const files = `${state}/containers`;
  return { state: Object.keys(known), files: exists(files) ? readDirectory(files) : [] };
}

/** Asserts how many interfaces are in bridges: those of a namespace go some time after its last process. */
export async function assertPluggedIn(host: Host, count: number): Promise<void> {
  await until(
    `${count} interfaces are in bridges`,
    async () => (await host.links()).filter(({ master }) => master !== undefined).length === count,
  );
}

/** Ends all containers; after one more command nothing of them or of their networks is left. */
async function assertNetworksEnd(box: Sandbox, host: Host, before: string[]): Promise<void> {
  const ids = (await box.ok(["list", "-q"])).split("\n").filter((id) => id !== "");
  if (ids.length > 0) await box.ok(["delete", "--force", ...ids]);
  await box.ok(["network", "prune"]);
  assert.equal(await box.ok(["network", "ls", "-q"]), "");
  const { state } = networkPlaces(box.imageRoot);
  const names = readDirectory(state).filter((name) => !["containers", "lock"].includes(name));
  if (names.includes("state.json")) {
    assert.deepEqual(attachments(box), { state: [], files: [] }, "left behind by networks");
  }
  assert.deepEqual(names.filter((name) => name !== "state.json"), []);
  const definitions = exists(`${box.imageRoot}/networks`)
    ? readDirectory(`${box.imageRoot}/networks`).filter((name) => name !== ".new")
    : [];
  assert.deepEqual(definitions, [], "definitions are left");
  const { table } = networkPlaces(box.imageRoot);
  assert(!(await host.ruleset()).includes(`table inet ${table} `), "the firewall's table is left");
  await until(
    "no interface is left",
    async () => (await host.links()).every(({ ifname }) => before.includes(ifname)),
  );
}

/** What a test of networks has. */
export interface TestNetwork {
  readonly box: Sandbox;
  /** The machine that crate runs on. */
  readonly host: Host;
  /** Another one, the first one's way out. */
  readonly outside: Host;
}

/** A test with two machines of its own; crate runs on the first. Nothing of its networks may be left. */
export function networkTest(
  name: string,
  body: (network: TestNetwork) => Promise<void>,
  options: TestOptions = {},
): void {
  test(name, async (box) => {
    await using host = await Host.start();
    await using outside = await startOutside(host);
    box.on(host.pid);
    const before = (await host.links()).map(({ ifname }) => ifname);
    await body({ box, host, outside });
    await assertNetworksEnd(box, host, before);
  }, options);
}
