// echo_server.ts NAME PROTOCOL:PORT...: answers whoever asks with `NAME saw ADDRESS`, and says `ready` when it listens.

const [name, ...ports] = Deno.args;
const encoder = new TextEncoder();

/** An IPv4 address of a socket of both families is written as IPv6 has it. RFC 4291, section 2.5.5.2 */
function answerTo(address: Deno.Addr): Uint8Array<ArrayBuffer> {
  const { hostname } = address as Deno.NetAddr;
  return encoder.encode(`${name} saw ${hostname.replace(/^::ffff:(?=\d+\.)/, "")}\n`);
}

async function serveStreams(port: number): Promise<void> {
  for await (const connection of Deno.listen({ port, hostname: "::" })) {
    const answer = async () => {
      using stream = connection;
      await stream.read(new Uint8Array(64));
      await stream.write(answerTo(stream.remoteAddr));
    };
    answer().catch(() => {}); // whoever hangs up needs no answer
  }
}

async function servePackets(port: number): Promise<void> {
  const socket = Deno.listenDatagram({ port, hostname: "::", transport: "udp" });
  for await (const [, address] of socket) await socket.send(answerTo(address), address);
}

for (const word of ports) {
  const [protocol, port] = word.split(":");
  if (protocol === "udp") servePackets(Number(port));
  else serveStreams(Number(port));
}
console.log("ready");
