import { CrateError } from "../../../errors.ts";

// Types on the wire: dbus-specification, "Type System".

const BASIC = "ybnqiuxtdsogh";
/** The longest signature, and the deepest nesting of arrays and of structures each. */
const MAX_LENGTH = 255;
const MAX_DEPTH = 32;

/** The error for bytes, text or values that are not what D-Bus allows. */
export function malformed(what: string): CrateError {
  return new CrateError("FAILED", `D-Bus: ${what}`);
}

/**
 * Where the complete type that begins at a place in a signature ends.
 *
 * @throws {CrateError} `FAILED` for what is no type.
 *
 * @example
 * ```ts
 * import { typeEnd } from "./signature.ts";
 * if (typeEnd("sa(sv)u", 1) !== 6) throw new Error();
 * ```
 */
export function typeEnd(signature: string, at: number): number {
  return endOf(signature, at, 0, 0);
}

function endOf(signature: string, at: number, arrays: number, structs: number): number {
  const wrong = () => malformed(`"${signature}" is no signature`);
  if (signature.length > MAX_LENGTH || arrays > MAX_DEPTH || structs > MAX_DEPTH) throw wrong();
  const code = signature[at];
  if (code === undefined) throw wrong();
  if (code === "v" || BASIC.includes(code)) return at + 1;
  if (code === "a") {
    if (signature[at + 1] !== "{") return endOf(signature, at + 1, arrays + 1, structs);
    if (!BASIC.includes(signature[at + 2] ?? "v")) throw wrong();
    const end = endOf(signature, at + 3, arrays + 1, structs + 1);
    if (signature[end] !== "}") throw wrong();
    return end + 1;
  }
  if (code !== "(" || signature[at + 1] === ")") throw wrong();
  let end = at + 1;
  while (signature[end] !== ")") end = endOf(signature, end, arrays, structs + 1);
  return end + 1;
}

/**
 * The complete types of a signature.
 *
 * @throws {CrateError} `FAILED` when it is none.
 */
export function typesOf(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length;) {
    const end = typeEnd(signature, at);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

/** The boundary at which a type's values begin, counted from the message's first byte. */
export function alignmentOf(type: string): number {
  const [code] = type;
  if (code === "n" || code === "q") return 2;
  if (code === "y" || code === "g" || code === "v") return 1;
  return "xtd({".includes(code!) ? 8 : 4;
}

/** The types within a structure or a dictionary's entry, `(sv)` or `{sv}`. */
export function fieldsOf(type: string): string[] {
  return typesOf(type.slice(1, -1));
}
