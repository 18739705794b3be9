// The settings of every program.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** What the flags say, and those of every program, each with the variable that the tidegate tool reads, too. */
export function flags<const Own extends Record<string, string | boolean>>(own: Own) {
  const { TIDEGATE_ADDRESS, TIDEGATE_CA, TIDEGATE_TOKEN, TIDEGATE_TOKEN_FILE } = process.env;
  const shared = {
    address: TIDEGATE_ADDRESS || "http://127.0.0.1:50051",
    ca: TIDEGATE_CA ?? "",
    "token-file": TIDEGATE_TOKEN_FILE ?? "",
  };
  const all = Object.entries({ ...shared, ...own });
  const options = all.map(([name, value]) => [name, { type: typeof value as "string" | "boolean", default: value }]);
  const { values } = parseArgs({ options: Object.fromEntries(options) });
  const given = values as typeof shared & { [Name in keyof Own]: Own[Name] extends boolean ? boolean : string };
  const file = given["token-file"];
  const token = file ? readFileSync(file, "utf8").trim() : TIDEGATE_TOKEN || undefined;
  const { hostname, protocol } = new URL(given.address);
  if (token && protocol !== "https:" && !LOOPBACK.includes(hostname)) {
    console.error("a token travels through TLS or to the loopback: use an https address");
    process.exit(1);
  }
  return { ...given, token };
}
