import { type Attribute, Attributes } from "../attributes.ts";
import { malformed } from "../errors.ts";
import { given } from "../given.ts";
import * as c from "./constants.ts";
import { readValue, readVerdict } from "./data.ts";
import type { Expression, NatFlag, Register } from "./expression.ts";
import * as keys from "./keys.ts";
import { required } from "./request.ts";

/**
 * Reads an element of a list of expressions; one that is not known here, or not in this form, is `unknown`.
 *
 * @throws {CrateError} `FAILED` when it is malformed.
 */
export function readExpression({ value }: Attribute): Expression {
  const element = new Attributes(value);
  const name = required("an expression's name", element.text(c.NFTA_EXPR_NAME));
  const data = element.nested(c.NFTA_EXPR_DATA) ?? new Attributes(new Uint8Array());
  return READERS[name]?.(data) ?? { kind: "unknown", name };
}

type Reader = (data: Attributes) => Expression | undefined;

function register(data: Attributes, type: number): Register | undefined {
  const number = data.u32be(type);
  if (number === undefined) return undefined;
  if (number >= c.NFT_REG_1 && number <= c.NFT_REG_4) return 4 * (number - c.NFT_REG_1);
  if (number >= c.NFT_REG32_00 && number <= c.NFT_REG32_15) return number - c.NFT_REG32_00;
  throw malformed(`the register ${number}`);
}

/** Two registers of a range; the kernel tells the first one twice where there is one alone. */
function ends(
  data: Attributes,
  min: number,
  max: number,
): [Register | undefined, Register | undefined] {
  const first = register(data, min);
  const last = register(data, max);
  return [first, last === first ? undefined : last];
}

function flags(data: Attributes, type: number): readonly NatFlag[] | undefined {
  const names = keys.namesOf(keys.NAT_FLAGS, data.u32be(type) ?? 0);
  return names.length === 0 ? undefined : names;
}

const READERS: Record<string, Reader | undefined> = {
  meta(data) {
    const key = keys.nameOf(keys.META_KEYS, data.u32be(c.NFTA_META_KEY));
    const to = register(data, c.NFTA_META_DREG);
    const from = register(data, c.NFTA_META_SREG);
    if (key === undefined) return undefined;
    if (to !== undefined) return { kind: "meta", key, register: to };
    return from === undefined ? undefined : { kind: "metaSet", key, register: from };
  },
  ct(data) {
    const key = keys.nameOf(keys.CT_KEYS, data.u32be(c.NFTA_CT_KEY));
    const to = register(data, c.NFTA_CT_DREG);
    const from = register(data, c.NFTA_CT_SREG);
    if (key === undefined || data.has(c.NFTA_CT_DIRECTION)) return undefined;
    if (to !== undefined) return { kind: "ct", key, register: to };
    return from === undefined ? undefined : { kind: "ctSet", key, register: from };
  },
  payload(data) {
    const base = keys.nameOf(keys.PAYLOAD_BASES, data.u32be(c.NFTA_PAYLOAD_BASE));
    const to = register(data, c.NFTA_PAYLOAD_DREG);
    const offset = data.u32be(c.NFTA_PAYLOAD_OFFSET);
    const length = data.u32be(c.NFTA_PAYLOAD_LEN);
    if ([base, to, offset, length].includes(undefined)) return undefined;
    return { kind: "payload", base: base!, offset: offset!, length: length!, register: to! };
  },
  fib(data) {
    const result = keys.nameOf(keys.FIB_RESULTS, data.u32be(c.NFTA_FIB_RESULT));
    const to = register(data, c.NFTA_FIB_DREG);
    if (result === undefined || to === undefined) return undefined;
    const names = keys.namesOf(keys.FIB_FLAGS, data.u32be(c.NFTA_FIB_FLAGS) ?? 0);
    return { kind: "fib", result, flags: names, register: to };
  },
  cmp(data) {
    const op = keys.nameOf(keys.COMPARISONS, data.u32be(c.NFTA_CMP_OP));
    const from = register(data, c.NFTA_CMP_SREG);
    const value = readValue(data, c.NFTA_CMP_DATA);
    if (op === undefined || from === undefined || value === undefined) return undefined;
    return { kind: "cmp", register: from, op, value };
  },
  range(data) {
    const op = keys.nameOf(keys.RANGE_COMPARISONS, data.u32be(c.NFTA_RANGE_OP));
    const source = register(data, c.NFTA_RANGE_SREG);
    const from = readValue(data, c.NFTA_RANGE_FROM_DATA);
    const to = readValue(data, c.NFTA_RANGE_TO_DATA);
    if (op === undefined || source === undefined || from === undefined || to === undefined) {
      return undefined;
    }
    return { kind: "range", register: source, op, from, to };
  },
  bitwise(data) {
    const source = register(data, c.NFTA_BITWISE_SREG);
    const to = register(data, c.NFTA_BITWISE_DREG);
    const mask = readValue(data, c.NFTA_BITWISE_MASK);
    const xor = readValue(data, c.NFTA_BITWISE_XOR);
    if (source === undefined || to === undefined || mask === undefined || xor === undefined) {
      return undefined;
    }
    return { kind: "bitwise", source, register: to, mask, xor };
  },
  lookup(data) {
    const set = required("a lookup's set", data.text(c.NFTA_LOOKUP_SET));
    const from = required("a lookup's register", register(data, c.NFTA_LOOKUP_SREG));
    const inverted = ((data.u32be(c.NFTA_LOOKUP_FLAGS) ?? 0) & c.NFT_LOOKUP_F_INV) !== 0;
    const isVerdict = data.u32be(c.NFTA_LOOKUP_DREG) === c.NFT_REG_VERDICT;
    const into = isVerdict ? "verdict" as const : register(data, c.NFTA_LOOKUP_DREG);
    return {
      kind: "lookup",
      set,
      register: from,
      ...given({ into, inverted: inverted || undefined }),
    };
  },
  immediate(data) {
    const verdict = readVerdict(data, c.NFTA_IMMEDIATE_DATA);
    if (verdict !== undefined) return { kind: "verdict", verdict };
    const to = register(data, c.NFTA_IMMEDIATE_DREG);
    const value = readValue(data, c.NFTA_IMMEDIATE_DATA);
    if (to === undefined || value === undefined) return undefined;
    return { kind: "immediate", register: to, value };
  },
  nat(data) {
    const type = keys.nameOf(keys.NAT_TYPES, data.u32be(c.NFTA_NAT_TYPE));
    const family = keys.nameOf(keys.NAT_FAMILIES, data.u32be(c.NFTA_NAT_FAMILY));
    if (type === undefined || family === undefined) return undefined;
    const [address, addressEnd] = ends(data, c.NFTA_NAT_REG_ADDR_MIN, c.NFTA_NAT_REG_ADDR_MAX);
    const [port, portEnd] = ends(data, c.NFTA_NAT_REG_PROTO_MIN, c.NFTA_NAT_REG_PROTO_MAX);
    const rest = { address, addressEnd, port, portEnd, flags: flags(data, c.NFTA_NAT_FLAGS) };
    return { kind: "nat", type, family, ...given(rest) };
  },
  masq(data) {
    const [port, portEnd] = ends(data, c.NFTA_MASQ_REG_PROTO_MIN, c.NFTA_MASQ_REG_PROTO_MAX);
    const rest = { port, portEnd, flags: flags(data, c.NFTA_MASQ_FLAGS) };
    return { kind: "masquerade", ...given(rest) };
  },
  redir(data) {
    const [port, portEnd] = ends(data, c.NFTA_REDIR_REG_PROTO_MIN, c.NFTA_REDIR_REG_PROTO_MAX);
    const rest = { port, portEnd, flags: flags(data, c.NFTA_REDIR_FLAGS) };
    return { kind: "redirect", ...given(rest) };
  },
  reject(data) {
    const kind = keys.nameOf(keys.REJECTS, data.u32be(c.NFTA_REJECT_TYPE));
    if (kind === undefined) return undefined;
    const code = kind === "tcp reset" ? undefined : data.u8(c.NFTA_REJECT_ICMP_CODE);
    return { kind: "reject", with: kind, ...given({ code }) };
  },
  counter(data) {
    const packets = data.u64be(c.NFTA_COUNTER_PACKETS) ?? 0n;
    return { kind: "counter", packets, bytes: data.u64be(c.NFTA_COUNTER_BYTES) ?? 0n };
  },
  limit(data) {
    const of = keys.nameOf(keys.LIMITS, data.u32be(c.NFTA_LIMIT_TYPE));
    const rate = data.u64be(c.NFTA_LIMIT_RATE);
    const per = data.u64be(c.NFTA_LIMIT_UNIT);
    if (of === undefined || rate === undefined || per === undefined) return undefined;
    const over = ((data.u32be(c.NFTA_LIMIT_FLAGS) ?? 0) & c.NFT_LIMIT_F_INV) !== 0;
    const rest = { burst: data.u32be(c.NFTA_LIMIT_BURST), over: over || undefined };
    return { kind: "limit", of, rate: Number(rate), per: Number(per), ...given(rest) };
  },
  log(data) {
    const rest = {
      prefix: data.text(c.NFTA_LOG_PREFIX),
      group: data.u16be(c.NFTA_LOG_GROUP),
      level: data.u32be(c.NFTA_LOG_LEVEL),
    };
    return { kind: "log", ...given(rest) };
  },
  notrack: () => ({ kind: "notrack" }),
};
