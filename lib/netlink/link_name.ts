import { CrateError } from "../errors.ts";

/** Refuses what the kernel would cut, or count up (`br%d`): a name of an interface. @throws {CrateError} `INVALID` */
export function checkLinkName(name: string): string {
  if (!/^[^\s/:%\0]{1,15}$/.test(name) || name === "." || name === ".." || !isAscii(name)) {
    throw new CrateError(
      "INVALID",
      `${JSON.stringify(name)} is no name of a network interface: ` +
        "1 to 15 bytes without white space, slash, colon and percent sign",
    );
  }
  return name;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 126) return false;
  return true;
}
