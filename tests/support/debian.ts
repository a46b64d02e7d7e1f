import { execute } from "./registry.ts";

/**
 * Makes a Debian of this machine's release in a directory, by debootstrap, from where this machine has its own
 * packages.
 *
 * @param packages beside the least that there is.
 */
export async function makeDebian(
  directory: string,
  packages: readonly string[] = [],
): Promise<void> {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(Deno.readTextFileSync("/etc/os-release"))![1]!;
  const targets = await execute(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]);
  const mirror = targets.split("\n").find((line) => line.endsWith(` ${release}`))?.split(" ")[0];
  const include = packages.length === 0 ? [] : [`--include=${packages.join(",")}`];
  const words = ["--variant=minbase", ...include, release, directory, ...mirror ? [mirror] : []];
  // A mirror may have a bad moment.
  for (let attempt = 1;; attempt++) {
    try {
      await execute(["debootstrap", ...words]);
      break;
    } catch (error) {
      if (attempt === 3) throw error;
      await execute(["rm", "-rf", "--one-file-system", directory]);
    }
  }
  // What it has mounted there, and what it has fetched, is no part of it.
  const script = 'for each in proc sys; do umount -q "$0/$each" || true; done; ' +
    'rm -rf "$0"/var/cache/apt/* "$0"/var/lib/apt/lists/*';
  await execute(["sh", "-c", script, directory]);
}
