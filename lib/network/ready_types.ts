import type { GuardedFile } from "../../ffi/mod.ts";

// What a program knows that puts the next container of a kind on the network where the last one was.

/** Where in bytes something of this time belongs. */
export interface Gap {
  readonly at: number;
  /** In the bytes of a place; see {@linkcode ReadyNetwork.pool}. */
  readonly from: number;
  readonly size: number;
}

/** All that is asked and told for one container on one network, with this time's own left out. */
export interface ReadyNetwork {
  /** Digits that were the last one's alone, in its names: each time there are others. */
  readonly digits: readonly string[];
  readonly lock: string;
  readonly guards: readonly GuardedFile[];
  /** Settings of the host as they are to be, with the line's end. */
  readonly settings: readonly { readonly path: string; readonly text: string }[];
  readonly bridge: {
    readonly name: string;
    /** What ioctl(2) is to tell of it: of the answer's number at a place, but for other bits. */
    readonly answers: readonly {
      readonly request: number;
      readonly at: number;
      readonly mask: number;
      readonly value: number;
    }[];
    /** Its line in /proc/net/if_inet6. */
    readonly address6?: string;
  };
  /** The number of the network namespace that all this is in. */
  readonly namespace: Uint8Array;
  readonly firewall: {
    /** The question for its generation. */
    readonly request: Uint8Array;
    /** What is to stand in what comes back, and where. */
    readonly answer: Uint8Array;
    readonly at: number;
  };
  /** The files of places on the network, and where what is in them; see slots.ts. */
  readonly slots: readonly string[];
  readonly slot: Readonly<Record<"base" | "length" | "path" | "lines" | "attachment", number>>;
  /** What goes with each of them in turn, and then with each again: texts, then bytes; all are as long. */
  readonly pool: readonly Uint8Array[];
  /** What stands in texts for those of a place. */
  readonly words: readonly { readonly text: string; readonly from: number }[];
  readonly directory: string;
  /** Its files in there. The first is for names, the others' too. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
  /** The file of who else is on the network, each as a place begins, and how many they may be. */
  readonly others: { readonly file: string; readonly count: number };
  /** The lines by which others find it. */
  readonly lines: string;
  /** What is said of it, before and after the process that holds it. */
  readonly attachment: readonly [string, string];
  /** The message that makes its interface. */
  readonly link: {
    readonly message: Uint8Array;
    readonly gaps: readonly Gap[];
    /** Where the descriptor of its namespace belongs. */
    readonly namespace: number;
  };
  /** What is done in its namespace. */
  readonly inside: {
    readonly interface: string;
    readonly settings: readonly { readonly path: string; readonly text: string }[];
    readonly messages: Uint8Array;
    readonly count: number;
    readonly gaps: readonly Gap[];
    /** Where the interface's number belongs. */
    readonly indices: readonly number[];
  };
}
