/**
 * Loads test files together, for `deno test`, which gives each file that it is told a runtime of its own: that
 * loads all that is tested once more, and takes longer than many a file's tests.
 *
 * `deno test -A scripts/lib/together.ts -- FILE...`
 *
 * @module
 */
const root = new URL("../../", import.meta.url);

for (const path of Deno.args) {
  try {
    await import(new URL(path, root).href);
  } catch (error) {
    // The others are run nevertheless.
    Deno.test(`${path} is loaded`, () => Promise.reject(error));
  }
}
