// What the schema's tests share: the places of a document, and documents with another value at one of them.

/** The way to a value in a document. */
export type Path = readonly (string | number)[];

/** Every place in a document that has a value, the document itself not among them. */
export function places(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  const inside = Object.entries(value).flatMap(([key, item]) =>
    places(item, [...path, Array.isArray(value) ? Number(key) : key])
  );
  return path.length === 0 ? inside : [path, ...inside];
}

/** A copy with another value at one place; undefined takes the place away. */
export function replaced(document: unknown, path: Path, value: unknown): unknown {
  const copy = structuredClone(document);
  let parent = copy as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) parent = parent[key] as Record<string | number, unknown>;
  const last = path[path.length - 1]!;
  if (value !== undefined) parent[last] = value;
  else if (Array.isArray(parent)) parent.splice(last as number, 1);
  else delete parent[last];
  return copy;
}

/** A place as error messages write it. */
export function written(path: Path): string {
  return path.map((key, i) => typeof key === "number" ? `[${key}]` : i === 0 ? key : `.${key}`)
    .join("");
}
