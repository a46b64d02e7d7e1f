// Fills the filesystem that a store lies on, byte for byte, and tries everything at each stage. In a mount
// namespace of its own: disk_full_root_test.ts starts it.
import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import { assertWhole, blobOf, imageOf, names, put } from "./_images.ts";
import { openStore } from "./mod.ts";

const [directory] = Deno.args as [string];
const filler = `${directory}/filler`;
const PAGE = 4096;

/** Leaves this much room, and no more. */
function leave(bytes: number): void {
  using file = Deno.openSync(filler, { write: true, create: true });
  file.seekSync(0, Deno.SeekMode.End);
  const page = new Uint8Array(PAGE);
  try {
    for (;;) file.writeSync(page);
  } catch {
    // It is full.
  }
  file.truncateSync(file.statSync().size - bytes);
}

async function assertFull(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return false;
  } catch (error) {
    assert.ok(error instanceof CrateError, `${error}`);
    assert.equal(error.code, "FAILED");
    assert.match(
      error.message,
      /^cannot .*: no space left in .* \(ENOSPC\); crate image prune frees/,
    );
    return true;
  }
}

const root = `${directory}/store`;

// A store that has no room to be made in is made later.
leave(0);
assert.ok(await assertFull(() => openStore(root)));
Deno.removeSync(filler);
const store = await openStore(root);
const kept = imageOf(["kept ".repeat(3000)]);
await put(store, "kept", kept);

const big = imageOf(["big ".repeat(10_000), "second ".repeat(2000)]);
const said = new Set<string>();
let room = 0;
for (;; room += PAGE) {
  leave(room);
  const full = await assertFull(async () => {
    try {
      await put(store, "big", big);
    } catch (error) {
      if (error instanceof CrateError) said.add(error.message.split(":")[0]!.replace(/ sha.*/, ""));
      // The test's own writing into a layer, as an unpacker's.
      if (!(error instanceof Error) || !/os error 28/.test(error.message)) throw error;
      throw new CrateError(
        "FAILED",
        "cannot write: no space left in it (ENOSPC); crate image prune frees",
      );
    }
  });
  // What there was is whole, and nothing half is left but blobs to go on with.
  const again = await openStore(root);
  await assertWhole(again);
  assert.equal(
    again.list().some((image) => image.names.includes("docker.io/library/kept:latest")),
    true,
  );
  assert.equal(again.tryFind("big") !== undefined, !full);
  if (!full) break;
  // In the full state an image can be looked at, and what came in part can be dropped.
  assert.equal(again.find("kept").image.id, kept.config.descriptor.digest);
  await again.prune();
  assert.deepEqual(names(`${root}/crate/partial`), []);
}
assert.ok(room > 10 * PAGE, `${room} bytes were enough`);
for (const stage of ["write blob", "write document", "write the list of images", "note what"]) {
  assert.ok(
    [...said].some((message) => message.includes(stage)),
    `${stage}: ${[...said].join("; ")}`,
  );
}

// Without a byte to spare, images can still be removed; twice, with what the first has freed.
leave(0);
const { deleted } = await store.remove("big");
assert.equal(deleted.length, 1);
leave(0);
await store.remove("kept");
assert.deepEqual(store.list(), []);
{
  // The partial blob of a full disk goes on when there is room.
  leave(PAGE * 4);
  using lease = await store.lease();
  const { descriptor, bytes } = blobOf("content ".repeat(5000));
  using partial = await store.partial(lease, descriptor);
  assert.throws(() => partial!.append(bytes), { code: "FAILED", message: /no space left/ });
  Deno.removeSync(filler);
  assert.ok(partial!.have > 0 && partial!.have < bytes.length);
  partial!.append(bytes.subarray(partial!.have));
  await partial!.commit(descriptor.digest);
}
console.log("done");
