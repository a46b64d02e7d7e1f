export { identify, isAlive, openProcess, type ProcessId } from "../../ffi/mod.ts";
