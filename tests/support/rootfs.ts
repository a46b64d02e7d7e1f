const BUSYBOX = "/bin/busybox";

let applets: string[] | undefined;

function appletNames(): string[] {
  if (applets === undefined) {
    const { stdout } = new Deno.Command(BUSYBOX, { args: ["--list"] }).outputSync();
    applets = new TextDecoder().decode(stdout).split("\n").filter((name) => name !== "");
  }
  return applets;
}

const PASSWD = `root:x:0:0:root:/root:/bin/sh
www:x:33:34:web:/srv/www:/bin/sh
1000:x:77:77:a name of digits:/:/bin/sh
`;

const GROUP = `root:x:0:
web:x:34:
extra:x:50:www
more:x:51:other,www
others:x:52:other
`;

/** Makes a root filesystem with busybox, `/etc/passwd` and `/etc/group`, and no more. */
export function makeRootfs(directory: string): string {
  for (const name of ["bin", "etc", "root", "tmp"]) {
    Deno.mkdirSync(`${directory}/${name}`, { recursive: true });
  }
  Deno.chmodSync(`${directory}/tmp`, 0o1777);
  Deno.copyFileSync(BUSYBOX, `${directory}/bin/busybox`);
  for (const name of appletNames()) {
    if (name !== "busybox") Deno.symlinkSync("busybox", `${directory}/bin/${name}`);
  }
  Deno.writeTextFileSync(`${directory}/etc/passwd`, PASSWD);
  Deno.writeTextFileSync(`${directory}/etc/group`, GROUP);
  return directory;
}
