import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import { contentOf } from "../../image/mod.ts";
import { findId } from "../../lifecycle/mod.ts";
import { stateOf } from "../each.ts";
import { readConfig } from "../globals.ts";
import { forEachImage, platformOf, storeOf } from "../images.ts";
import { inspectContainer } from "../inspection.ts";
import { networkOf } from "../networks.ts";
import { print } from "../print.ts";
import type { ContainerInspectCall, ImageInspectCall, InspectCall } from "../words/mod.ts";

/** Throws `NOT_FOUND` when there is nothing of this name. */
type Find = (word: string) => object | Promise<object>;

/** Of the things that are there, one JSON array. */
async function show(words: readonly string[], find: Find): Promise<number> {
  const found: object[] = [];
  const code = await forEachImage(words, async (word) => {
    found.push(await find(word));
  });
  print(JSON.stringify(found, undefined, 4));
  return code;
}

function containerFinder(config: Effective): Find {
  return async (word) => {
    const state = stateOf(config.root.value, word);
    return inspectContainer(state, await networkOf(config.root.value, state));
  };
}

async function imageFinder(config: Effective, platformWord: string | undefined): Promise<Find> {
  const platform = platformOf(platformWord);
  const choice = platform === undefined ? {} : { platform };
  const store = await storeOf(config, { clean: false });
  return (word) => {
    const { chainIds } = contentOf(store.find(word, choice).image);
    const layers = chainIds.map((id) => store.layer(id)?.path);
    // Docker's place for it: the directories, the uppermost first.
    const data = layers.includes(undefined) ? null : { LowerDir: layers.reverse().join(":") };
    return { ...store.inspect(word, choice), GraphDriver: { Name: "overlay", Data: data } };
  };
}

/** The first that finds something. */
function firstOf(finders: readonly Find[]): Find {
  return async (word) => {
    let invalid: CrateError | undefined;
    for (const find of finders) {
      try {
        return await find(word);
      } catch (error) {
        if (!(error instanceof CrateError)) throw error;
        if (error.code === "INVALID") invalid = error;
        else if (error.code !== "NOT_FOUND") throw error;
      }
    }
    throw invalid ?? new CrateError(
      "NOT_FOUND",
      `neither a container nor an image is called "${word}": crate list and crate images show them`,
    );
  };
}

/** `crate inspect`. */
export default async function inspect(call: InspectCall): Promise<number> {
  const { options: { type, platform }, positionals, globals } = call;
  if (type === "container" && platform !== undefined) {
    throw new CrateError("INVALID", "--platform is for images, and --type=container for none");
  }
  const config = await readConfig(globals);
  const root = config.root.value;
  const findContainer = containerFinder(config);
  if (type === "container") return show(positionals, findContainer);
  const findImage = await imageFinder(config, platform);
  if (type === "image") return show(positionals, findImage);
  const findWhole: Find = (word) => {
    if (findId(root, word) === word) return findContainer(word);
    throw new CrateError("NOT_FOUND", `no container has the id ${word}`);
  };
  // An image's name may well be the beginning of a container's.
  return show(positionals, firstOf([findWhole, findImage, findContainer]));
}

/** `crate container inspect`. */
export async function inspectContainers(call: ContainerInspectCall): Promise<number> {
  return show(call.positionals, containerFinder(await readConfig(call.globals)));
}

/** `crate image inspect`. */
export async function inspectImages(call: ImageInspectCall): Promise<number> {
  const { options, positionals, globals } = call;
  return show(positionals, await imageFinder(await readConfig(globals), options.platform));
}
