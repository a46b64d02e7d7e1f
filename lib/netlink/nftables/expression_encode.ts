import { CrateError } from "../../errors.ts";
import type { Writer } from "../attributes.ts";
import * as c from "./constants.ts";
import { writeValue, writeVerdict } from "./data.ts";
import type { Expression, NatFlag, Register } from "./expression.ts";
import * as keys from "./keys.ts";
import { checkName } from "./request.ts";

/** How a register's number is written, as nft(8) does: where four begin, as the older ones of 128 bits. */
export function registerNumber(register: Register): number {
  if (!Number.isInteger(register) || register < 0 || register > 15) {
    throw new CrateError("INVALID", `nftables: registers are 0 to 15, got ${register}`);
  }
  return register % 4 === 0 ? c.NFT_REG_1 + register / 4 : c.NFT_REG32_00 + register;
}

/** Writes an expression as an element of a list. @throws {CrateError} `INVALID` */
export function writeExpression(w: Writer, expression: Expression): void {
  w.nested(c.NFTA_LIST_ELEM, () => {
    w.text(c.NFTA_EXPR_NAME, kernelName(expression));
    w.nested(c.NFTA_EXPR_DATA, () => writeData(w, expression));
  });
}

const NAMES: Partial<Record<Expression["kind"], string>> = {
  metaSet: "meta",
  ctSet: "ct",
  verdict: "immediate",
  masquerade: "masq",
  redirect: "redir",
};

function kernelName({ kind }: Expression): string {
  return NAMES[kind] ?? kind;
}

function writeData(w: Writer, e: Expression): void {
  const register = (type: number, value: Register | undefined) => {
    if (value !== undefined) w.u32be(type, registerNumber(value));
  };
  switch (e.kind) {
    case "meta":
    case "metaSet":
      w.u32be(c.NFTA_META_KEY, keys.META_KEYS[e.key]);
      register(e.kind === "meta" ? c.NFTA_META_DREG : c.NFTA_META_SREG, e.register);
      return;
    case "ct":
    case "ctSet":
      w.u32be(c.NFTA_CT_KEY, keys.CT_KEYS[e.key]);
      register(e.kind === "ct" ? c.NFTA_CT_DREG : c.NFTA_CT_SREG, e.register);
      return;
    case "payload":
      register(c.NFTA_PAYLOAD_DREG, e.register);
      w.u32be(c.NFTA_PAYLOAD_BASE, keys.PAYLOAD_BASES[e.base]);
      w.u32be(c.NFTA_PAYLOAD_OFFSET, e.offset).u32be(c.NFTA_PAYLOAD_LEN, e.length);
      return;
    case "fib":
      w.u32be(c.NFTA_FIB_FLAGS, keys.bitsOf(keys.FIB_FLAGS, e.flags));
      w.u32be(c.NFTA_FIB_RESULT, keys.FIB_RESULTS[e.result]);
      register(c.NFTA_FIB_DREG, e.register);
      return;
    case "cmp":
      register(c.NFTA_CMP_SREG, e.register);
      w.u32be(c.NFTA_CMP_OP, keys.COMPARISONS[e.op]);
      writeValue(w, c.NFTA_CMP_DATA, e.value);
      return;
    case "range":
      register(c.NFTA_RANGE_SREG, e.register);
      w.u32be(c.NFTA_RANGE_OP, keys.RANGE_COMPARISONS[e.op]);
      writeValue(w, c.NFTA_RANGE_FROM_DATA, e.from);
      writeValue(w, c.NFTA_RANGE_TO_DATA, e.to);
      return;
    case "bitwise":
      register(c.NFTA_BITWISE_SREG, e.source);
      register(c.NFTA_BITWISE_DREG, e.register);
      w.u32be(c.NFTA_BITWISE_LEN, e.mask.length);
      writeValue(w, c.NFTA_BITWISE_MASK, e.mask);
      writeValue(w, c.NFTA_BITWISE_XOR, e.xor);
      return;
    case "lookup":
      w.text(c.NFTA_LOOKUP_SET, checkName("set", e.set));
      if (e.setId !== undefined) w.u32be(c.NFTA_LOOKUP_SET_ID, e.setId);
      register(c.NFTA_LOOKUP_SREG, e.register);
      if (e.into === "verdict") w.u32be(c.NFTA_LOOKUP_DREG, c.NFT_REG_VERDICT);
      else register(c.NFTA_LOOKUP_DREG, e.into);
      if (e.inverted) w.u32be(c.NFTA_LOOKUP_FLAGS, c.NFT_LOOKUP_F_INV);
      return;
    case "immediate":
      register(c.NFTA_IMMEDIATE_DREG, e.register);
      writeValue(w, c.NFTA_IMMEDIATE_DATA, e.value);
      return;
    case "verdict":
      w.u32be(c.NFTA_IMMEDIATE_DREG, c.NFT_REG_VERDICT);
      writeVerdict(w, c.NFTA_IMMEDIATE_DATA, e.verdict);
      return;
    case "nat":
      w.u32be(c.NFTA_NAT_TYPE, keys.NAT_TYPES[e.type]);
      w.u32be(c.NFTA_NAT_FAMILY, keys.NAT_FAMILIES[e.family]);
      register(c.NFTA_NAT_REG_ADDR_MIN, e.address);
      register(c.NFTA_NAT_REG_ADDR_MAX, e.addressEnd);
      register(c.NFTA_NAT_REG_PROTO_MIN, e.port);
      register(c.NFTA_NAT_REG_PROTO_MAX, e.portEnd);
      natFlags(w, c.NFTA_NAT_FLAGS, e.flags);
      return;
    case "masquerade":
      natFlags(w, c.NFTA_MASQ_FLAGS, e.flags);
      register(c.NFTA_MASQ_REG_PROTO_MIN, e.port);
      register(c.NFTA_MASQ_REG_PROTO_MAX, e.portEnd);
      return;
    case "redirect":
      register(c.NFTA_REDIR_REG_PROTO_MIN, e.port);
      register(c.NFTA_REDIR_REG_PROTO_MAX, e.portEnd);
      natFlags(w, c.NFTA_REDIR_FLAGS, e.flags);
      return;
    case "reject":
      w.u32be(c.NFTA_REJECT_TYPE, keys.REJECTS[e.with]).u8(c.NFTA_REJECT_ICMP_CODE, e.code ?? 0);
      return;
    case "counter":
      w.u64be(c.NFTA_COUNTER_BYTES, e.bytes ?? 0n).u64be(c.NFTA_COUNTER_PACKETS, e.packets ?? 0n);
      return;
    case "limit":
      w.u64be(c.NFTA_LIMIT_RATE, e.rate).u64be(c.NFTA_LIMIT_UNIT, e.per);
      w.u32be(c.NFTA_LIMIT_BURST, e.burst ?? (e.of === "packets" ? 5 : 0));
      w.u32be(c.NFTA_LIMIT_TYPE, keys.LIMITS[e.of]);
      w.u32be(c.NFTA_LIMIT_FLAGS, e.over ? c.NFT_LIMIT_F_INV : 0);
      return;
    case "log":
      if (e.prefix !== undefined) w.text(c.NFTA_LOG_PREFIX, e.prefix);
      if (e.group !== undefined) w.u16be(c.NFTA_LOG_GROUP, e.group);
      else w.u32be(c.NFTA_LOG_LEVEL, e.level ?? 4);
      return;
    case "notrack":
      return;
    case "unknown":
      throw new CrateError("INVALID", `nftables: the expression ${e.name} is not known here`);
  }
}

function natFlags(w: Writer, type: number, flags: readonly NatFlag[] | undefined): void {
  if (flags !== undefined && flags.length > 0) w.u32be(type, keys.bitsOf(keys.NAT_FLAGS, flags));
}
