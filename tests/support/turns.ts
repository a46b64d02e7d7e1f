import { EMULATED, type TestOptions } from "./sandbox.ts";

// What takes minutes in an emulated machine takes turns there: a run of all tests does one part of it, and each
// part has its day. Tests that are named are done whole, as on a host.

const TURNS = 9;

/** One of the parts. */
export type Turn = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** Whether a part is to be done: here, or on the day of the number TEST_TURN, from whatever day they are counted. */
export function isTurn(turn: Turn): boolean {
  const day = Deno.env.get("TEST_TURN");
  return !EMULATED || day === undefined || Number(day) % TURNS === turn;
}

/** For a test that is done when it has its turn. */
export function inTurn(turn: Turn): TestOptions {
  return {
    skip: !isTurn(turn) &&
      `it takes minutes in an emulated machine, and its turn is each ${TURNS}th day: scripts/test vm NAME does it now`,
  };
}
