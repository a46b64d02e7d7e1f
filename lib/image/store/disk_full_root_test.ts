// Not in the virtual machine: the store knows nothing of cgroups
import assert from "node:assert/strict";
import { has } from "../../../ffi/_tools.ts";

Deno.test({
  name: "on a full disk every stage says so, the store stays whole, and images can be removed",
  ignore: !has("unshare"),
  fn: async () => {
    const directory = Deno.makeTempDirSync({ prefix: "store-full-" });
    const program = new URL("./_full.ts", import.meta.url).pathname;
    const script =
      'mount -t tmpfs -o size=2m crate-test "$1" && exec "$0" run -A --no-check "$2" "$1"';
    try {
      const { stdout, stderr } = await new Deno.Command("unshare", {
        args: [
          ..."--mount --propagation private sh -c".split(" "),
          script,
          Deno.execPath(),
          directory,
          program,
        ],
      }).output();
      assert.equal(new TextDecoder().decode(stdout), "done\n", new TextDecoder().decode(stderr));
    } finally {
      Deno.removeSync(directory);
    }
  },
});
