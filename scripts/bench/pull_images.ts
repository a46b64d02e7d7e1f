import { makeDebian } from "../../tests/support/debian.ts";
import { execute, Registry } from "../../tests/support/registry.ts";
import { compressByZstd } from "../../tests/support/zstd.ts";

/** An image that is pulled. */
export interface BenchImage {
  /** Its repository below `bench/`, with the tag 1. */
  readonly name: string;
  /** What the table says it is. */
  readonly title: string;
}

/** The images, in a directory that docker-registry serves. */
export interface BenchImages {
  readonly storage: string;
  readonly list: readonly BenchImage[];
}

/** Made once, and kept. */
const CACHE = new URL("../../.cache/bench-images", import.meta.url).pathname;
/** What makes some 30,000 files of a Debian. */
const PACKAGES = [
  "git",
  "perl",
  "python3",
  "man-db",
  "vim-tiny",
  "openssh-client",
  "iproute2",
  "libboost1.74-dev",
];

function count(directory: string): number {
  let files = 0;
  for (const entry of Deno.readDirSync(directory)) {
    files++;
    if (entry.isDirectory) files += count(`${directory}/${entry.name}`);
  }
  return files;
}

/**
 * Makes the images: busybox in one layer; a Debian by debootstrap, by gzip and by zstd; busybox below 39 small layers.
 *
 * @param say progress
 */
export async function makeImages(say: (text: string) => void): Promise<BenchImages> {
  const storage = `${CACHE}/registry`;
  const described = `${CACHE}/images.json`;
  try {
    return { storage, list: JSON.parse(Deno.readTextFileSync(described)) };
  } catch {
    // They are made now.
  }
  // What a maker that was interrupted has left.
  await execute(["rm", "-rf", CACHE]);
  Deno.mkdirSync(storage, { recursive: true });
  const list = await make(storage, say);
  Deno.writeTextFileSync(described, JSON.stringify(list));
  return { storage, list };
}

async function make(storage: string, say: (text: string) => void): Promise<BenchImage[]> {
  const work = Deno.makeTempDirSync({ dir: "/var/tmp", prefix: "crate-images-" });
  try {
    await using registry = await Registry.start({ storage });
    say("making the images: busybox");
    const busybox = `${work}/busybox`;
    Deno.mkdirSync(`${busybox}/bin`, { recursive: true });
    Deno.copyFileSync("/bin/busybox", `${busybox}/bin/busybox`);
    await layout(`${work}/small`, [busybox]);
    await push(registry, `${work}/small`, "busybox");

    say("making the images: debian, some minutes");
    const debian = `${work}/debian`;
    await makeDebian(debian, PACKAGES);
    const files = count(debian);
    await layout(`${work}/large`, [debian]);
    await push(registry, `${work}/large`, "debian");
    await compressByZstd(`${work}/large`, "1");
    await push(registry, `${work}/large`, "debian-zstd");

    say("making the images: forty layers");
    const layers = [busybox];
    for (let i = 1; i < 40; i++) {
      const directory = `${work}/layer-${i}`;
      Deno.mkdirSync(`${directory}/srv/${i}`, { recursive: true });
      for (let file = 0; file < 20; file++) {
        Deno.writeTextFileSync(`${directory}/srv/${i}/${file}`, `${i} ${file}\n`.repeat(200));
      }
      layers.push(directory);
    }
    await layout(`${work}/forty`, layers);
    await push(registry, `${work}/forty`, "forty");

    const size = async (name: string) => (await compressed(registry, name) / 1e6).toFixed(0);
    const [gzip, zstd] = [await size("debian"), await size("debian-zstd")];
    const thousand = Math.round(files / 1000);
    return [
      { name: "busybox", title: "busybox: one layer of 1 MB" },
      { name: "debian", title: `Debian: ${thousand},000 files, ${gzip} MB, gzip` },
      { name: "debian-zstd", title: `Debian: ${thousand},000 files, ${zstd} MB, zstd` },
      { name: "forty", title: "40 layers, 20 files in each" },
    ];
  } finally {
    Deno.removeSync(work, { recursive: true });
  }
}

/** An OCI layout with one image of a layer for each directory. */
async function layout(directory: string, layers: readonly string[]): Promise<void> {
  await execute(["umoci", "init", "--layout", directory]);
  await execute(["umoci", "new", "--image", `${directory}:1`]);
  for (const layer of layers) {
    await execute(["umoci", "insert", "--image", `${directory}:1`, layer, "/"]);
  }
}

async function push(
  registry: Registry,
  directory: string,
  name: string,
): Promise<void> {
  const to = `docker://${registry.host}/bench/${name}:1`;
  const tls = registry.skopeoWords("dest-");
  await execute(["skopeo", "copy", "--quiet", ...tls, `oci:${directory}:1`, to]);
}

async function compressed(registry: Registry, name: string): Promise<number> {
  const answer = await fetch(`http://${registry.host}/v2/bench/${name}/manifests/1`, {
    headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
  });
  const { layers } = await answer.json() as { layers: { size: number }[] };
  return layers.reduce((sum, { size }) => sum + size, 0);
}
