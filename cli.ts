// The command. Its words stand as tables in lib/cli/words; each command's module loads when called.
import { main } from "./lib/cli/main.ts";

// Without await: a module that is loaded later may import from this one, and would wait for it to end.
if (import.meta.main) main(Deno.args).then(Deno.exit);
