import type { Value } from "./dbus/mod.ts";

/** A property of a unit, and its value's type on D-Bus. org.freedesktop.systemd1(5) */
export interface Property {
  readonly name: string;
  readonly signature: string;
  readonly value: Value;
}

/** What systemd takes for "no limit" and "as if not said". */
export const INFINITY = (1n << 64n) - 1n;
