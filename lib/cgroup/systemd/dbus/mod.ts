/**
 * A client of D-Bus, as small as systemd's private socket and a bus need it: bytes, messages, a conversation.
 *
 * @see https://dbus.freedesktop.org/doc/dbus-specification.html
 * @module
 */
export { type Call, CallError, Connection } from "./connection.ts";
export type { Message } from "./message.ts";
export { rangeOf } from "./writer.ts";
export { isVariant, type Value, type Variant } from "./value.ts";
