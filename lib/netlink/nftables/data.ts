import type { Attributes, Writer } from "../attributes.ts";
import * as c from "./constants.ts";
import { checkName, required } from "./request.ts";

/** What becomes of a packet. */
export type Verdict =
  | "accept"
  | "drop"
  /** Go on with the next rule. */
  | "continue"
  /** Back to the chain that jumped here. */
  | "return"
  | { readonly jump: string }
  | { readonly goto: string };

const CODES = {
  accept: c.NF_ACCEPT,
  drop: c.NF_DROP,
  continue: c.NFT_CONTINUE,
  return: c.NFT_RETURN,
} as const;

/** Writes a verdict into an attribute of data. */
export function writeVerdict(w: Writer, type: number, verdict: Verdict): void {
  w.nested(type, () => {
    w.nested(c.NFTA_DATA_VERDICT, () => {
      if (typeof verdict === "string") {
        w.u32be(c.NFTA_VERDICT_CODE, CODES[verdict] >>> 0);
        return;
      }
      const [code, chain] = "jump" in verdict
        ? [c.NFT_JUMP, verdict.jump]
        : [c.NFT_GOTO, verdict.goto];
      w.u32be(c.NFTA_VERDICT_CODE, code >>> 0);
      w.text(c.NFTA_VERDICT_CHAIN, checkName("chain", chain));
    });
  });
}

/** Writes bytes into an attribute of data. */
export function writeValue(w: Writer, type: number, value: Uint8Array): void {
  w.nested(type, () => w.bytes(c.NFTA_DATA_VALUE, value));
}

/** Bytes of an attribute of data; undefined when there are none. @throws {CrateError} `FAILED` */
export function readValue(from: Attributes, type: number): Uint8Array<ArrayBuffer> | undefined {
  return from.nested(type)?.bytes(c.NFTA_DATA_VALUE);
}

/** The verdict of an attribute of data; undefined when there is none. @throws {CrateError} `FAILED` */
export function readVerdict(from: Attributes, type: number): Verdict | undefined {
  const verdict = from.nested(type)?.nested(c.NFTA_DATA_VERDICT);
  if (verdict === undefined) return undefined;
  const code = required("a verdict's code", verdict.u32be(c.NFTA_VERDICT_CODE)) | 0;
  const chain = verdict.text(c.NFTA_VERDICT_CHAIN);
  if (code === c.NFT_JUMP) return { jump: required("a verdict's chain", chain) };
  if (code === c.NFT_GOTO) return { goto: required("a verdict's chain", chain) };
  const name = Object.entries(CODES).find(([, value]) => value === code)?.[0];
  return required("a verdict that is known", name as keyof typeof CODES | undefined);
}
