import { CrateError } from "../../errors.ts";
import { parseVariant } from "./gvariant.ts";
import type { Property } from "./property.ts";

const PREFIX = "org.systemd.property.";
const SECOND = 1_000_000;
/** The types that a number of seconds may have. */
const NUMBERS = "ynqiuxtd";

/**
 * The unit's properties that a config's annotations `org.systemd.property.NAME` ask for. A time's name ends in
 * `Sec`, as in unit files, and D-Bus has it in microseconds.
 *
 * @throws {CrateError} `INVALID`, naming the annotation.
 *
 * @example
 * ```ts
 * import { annotatedProperties } from "./annotations.ts";
 * const [stop] = annotatedProperties({ "org.systemd.property.TimeoutStopSec": "uint64 5" });
 * if (stop?.name !== "TimeoutStopUSec" || stop.value !== 5_000_000n) throw new Error();
 * ```
 */
export function annotatedProperties(
  annotations: Readonly<Record<string, string>> = {},
): Property[] {
  return Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX))
    .map(([key, text]) => {
      const what = `annotations["${key}"]`;
      const name = key.slice(PREFIX.length);
      if (!/^[A-Za-z]{3,}$/.test(name)) {
        throw new CrateError(
          "INVALID",
          `${what} must end in the name of a property, three letters or more of A to Z and a to z`,
        );
      }
      const { signature, value } = parseVariant(text, what);
      if (!/[a-z]Sec$/.test(name)) return { name, signature, value };
      return { name: `${name.slice(0, -3)}USec`, signature: "t", value: toMicroseconds() };

      function toMicroseconds(): bigint {
        const isNumber = NUMBERS.includes(signature);
        const micro = typeof value === "bigint"
          ? value * BigInt(SECOND)
          : isNumber && Number.isFinite(value)
          ? BigInt(Math.trunc(Number(value) * SECOND))
          : -1n;
        if (micro >= 0n && micro < 1n << 64n) return micro;
        throw new CrateError("INVALID", `${what} must be a number of seconds, got ${text}`);
      }
    });
}
