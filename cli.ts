// The command. Its words stand as tables in lib/cli/words; each command's module loads when called.
import { main } from "./lib/cli/main.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
