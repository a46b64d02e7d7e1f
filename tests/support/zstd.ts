import { execute } from "./registry.ts";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const pathOf = (directory: string, { digest }: Descriptor) =>
  `${directory}/blobs/${digest.replace(":", "/")}`;

/**
 * Makes the layers of an OCI layout's only image zstd, in place. skopeo, told to, leaves gzip as it is, and takes a blob by gzip
 * that it knows for one that is not compressed.
 *
 * @param tag the image's name in the layout.
 */
export async function compressByZstd(directory: string, tag: string): Promise<void> {
  const index = JSON.parse(Deno.readTextFileSync(`${directory}/index.json`));
  const image = index.manifests.find(({ annotations }: { annotations: Record<string, string> }) =>
    annotations["org.opencontainers.image.ref.name"] === tag
  );
  const manifest = JSON.parse(Deno.readTextFileSync(pathOf(directory, image)));
  manifest.layers = await Promise.all(
    manifest.layers.map(async (layer: Descriptor) => {
      const part = `${directory}/${layer.digest.slice(7)}.zst`;
      await execute([
        "sh",
        "-ec",
        'gzip -dc "$1" | zstd -q -o "$2"',
        "sh",
        pathOf(directory, layer),
        part,
      ]);
      const mediaType = "application/vnd.oci.image.layer.v1.tar+zstd";
      return { ...await keep(directory, part), mediaType };
    }),
  );
  const part = `${directory}/manifest.json`;
  Deno.writeTextFileSync(part, JSON.stringify(manifest));
  Object.assign(image, await keep(directory, part));
  Deno.writeTextFileSync(`${directory}/index.json`, JSON.stringify(index));
}

/** Gives a file of a layout the name of its content. */
async function keep(directory: string, part: string): Promise<{ digest: string; size: number }> {
  const digest = `sha256:${(await execute(["sha256sum", part])).slice(0, 64)}`;
  const { size } = Deno.statSync(part);
  Deno.renameSync(part, `${directory}/blobs/${digest.replace(":", "/")}`);
  return { digest, size };
}
