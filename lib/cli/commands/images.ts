import { familiar, type Image, parseReference, repositoryName } from "../../image/mod.ts";
import { formatAge, formatSize, formatTable } from "../format.ts";
import { readConfig } from "../globals.ts";
import { storeOf } from "../images.ts";
import { log } from "../log.ts";
import { print } from "../print.ts";
import type { ImagesCall } from "../words/mod.ts";

const hex = (digest: string) => digest.slice(digest.indexOf(":") + 1);

/** A name's repository and tag, as people say them. */
function split(name: string | undefined): [repository: string, tag: string] {
  if (name === undefined) return ["<none>", "<none>"];
  try {
    const { tag, digest } = parseReference(name);
    const repository = familiar(repositoryName(parseReference(name)));
    return [repository, tag ?? (digest === undefined ? "latest" : "<none>")];
  } catch {
    return [name, "<none>"];
  }
}

function rows(image: Image, full: boolean): string[][] {
  const { content } = image;
  const id = hex(image.id);
  const names = image.names.length === 0 ? [undefined] : image.names;
  return names.map((name) => [
    ...split(name),
    full ? image.id : id.slice(0, 12),
    formatAge(content?.config.created),
    content === undefined ? "N/A" : formatSize(content.unpacked ?? content.compressed),
  ]);
}

function json(image: Image): Record<string, unknown> {
  const { content } = image;
  return {
    id: image.id,
    names: image.names.map(familiar),
    digest: image.descriptor.digest,
    created: content?.config.created,
    platform: content && `${content.config.os}/${content.config.architecture}`,
    compressed: content?.compressed,
    unpacked: content?.unpacked,
    labels: content?.config.config?.Labels,
    ...(image.problem === undefined ? {} : { problem: image.problem.message }),
  };
}

/** `crate images`. */
export default async function list({ options, globals }: ImagesCall): Promise<number> {
  const store = await storeOf(await readConfig(globals), { clean: false });
  const images = store.list();
  if (options.format === "json") print(JSON.stringify(images.map(json)));
  else if (options.quiet) {
    const ids = images.map(({ id }) => options.noTrunc ? id : hex(id).slice(0, 12));
    for (const id of new Set(ids)) print(id);
  } else {
    const heads = ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
    const all = images.flatMap((image) => rows(image, options.noTrunc));
    print(formatTable([heads, ...all]));
  }
  for (const { problem } of images) if (problem !== undefined) log("warn", problem.message);
  return 0;
}
