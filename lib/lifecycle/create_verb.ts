import { arch, encodeMapped } from "../../ffi/mod.ts";
import type { Products } from "./create_input.ts";
import { CREATE_KIND } from "./offer_create.ts";
import { compileCreateVerb, type CreateRequest } from "./program/mod.ts";

/** The file of a program that creates the next container of a kind; undefined when it is too large. */
export function createVerb(
  products: Products,
  request: CreateRequest,
): Uint8Array<ArrayBuffer> | undefined {
  return encodeMapped(compileCreateVerb({ ...products, request }), arch, CREATE_KIND);
}
