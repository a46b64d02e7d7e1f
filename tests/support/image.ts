import { execute } from "./registry.ts";

/** What an image of a test starts with. */
export interface TestConfig {
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: readonly string[];
  readonly user?: string;
  readonly workingDir?: string;
  readonly stopSignal?: string;
  /** `80`, `53/udp`. */
  readonly exposed?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

/** A layer: files by their paths, a symbolic link with `->` before its target; `null` is a whiteout. */
export type TestLayer = Readonly<Record<string, string | null>>;

/** A first layer: busybox, its links, and the users `root` and `app`. */
export const BUSYBOX: TestLayer = {
  "bin/busybox": "/bin/busybox",
  ...Object.fromEntries(
    ["sh", "cat", "echo", "env", "id", "ls", "pwd", "sleep", "test", "true"]
      .map((name) => [`bin/${name}`, "->busybox"]),
  ),
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n",
  "etc/group": "root:x:0:\napp:x:1000:\n",
};

/**
 * Makes an image as an OCI layout, with umoci.
 *
 * @returns skopeo's words for it: `oci:DIRECTORY:image`.
 */
export async function makeImage(
  directory: string,
  layers: readonly TestLayer[],
  config: TestConfig = {},
): Promise<string> {
  const layout = `${directory}/layout`;
  const image = `${layout}:image`;
  Deno.mkdirSync(directory, { recursive: true });
  await execute(["umoci", "init", "--layout", layout]);
  await execute(["umoci", "new", "--image", image]);
  for (const [i, layer] of layers.entries()) await addLayer(image, `${directory}/${i}`, layer);
  const words = [
    ...(config.entrypoint ?? []).map((word) => `--config.entrypoint=${word}`),
    ...(config.cmd ?? []).map((word) => `--config.cmd=${word}`),
    ...(config.env ?? []).map((word) => `--config.env=${word}`),
    ...Object.entries(config.labels ?? {}).map(([name, value]) =>
      `--config.label=${name}=${value}`
    ),
    ...(config.exposed ?? []).map((port) => `--config.exposedports=${port}`),
    ...config.user ? [`--config.user=${config.user}`] : [],
    ...config.workingDir ? [`--config.workingdir=${config.workingDir}`] : [],
    ...config.stopSignal ? [`--config.stopsignal=${config.stopSignal}`] : [],
  ];
  if (words.length > 0) await execute(["umoci", "config", "--image", image, ...words]);
  return `oci:${image}`;
}

async function addLayer(image: string, directory: string, layer: TestLayer): Promise<void> {
  Deno.mkdirSync(directory);
  for (const [path, content] of Object.entries(layer)) {
    if (content === null) continue;
    const file = `${directory}/${path}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    if (content.startsWith("->")) Deno.symlinkSync(content.slice(2), file);
    else if (path === "bin/busybox") Deno.copyFileSync(content, file);
    else Deno.writeTextFileSync(file, content);
  }
  await execute(["umoci", "insert", "--image", image, directory, "/"]);
  for (const [path, content] of Object.entries(layer)) {
    if (content !== null) continue;
    await execute(["umoci", "insert", "--image", image, "--whiteout", `/${path}`]);
  }
}
