// A watcher: prints every event of the log as a line of JSON, from where it left off. Node trusts the authorities in
// NODE_EXTRA_CA_CERTS beside its own.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { flags } from "./flags.js";
import { watchEvents, type Bookmark, type Position } from "./watch.js";

/** Keeps the position in a file, so that the next run goes on, too. */
class FileBookmark implements Bookmark {
  position: Position | undefined;

  constructor(private readonly path: string) {
    if (!path || !existsSync(path)) return;
    const kept = JSON.parse(readFileSync(path, "utf8")) as { sequence: number; hash: string };
    this.position = { sequence: BigInt(kept.sequence), hash: Buffer.from(kept.hash, "hex") };
  }

  keep(position: Position): void {
    this.position = { sequence: position.sequence, hash: position.hash };
    if (!this.path) return;
    const kept = { sequence: Number(position.sequence), hash: Buffer.from(position.hash).toString("hex") };
    writeFileSync(`${this.path}.new`, JSON.stringify(kept));
    renameSync(`${this.path}.new`, this.path);
  }
}

const args = flags({ bookmark: "" });
try {
  await watchEvents(args.address, args.token, new FileBookmark(args.bookmark), (event) =>
    console.log(JSON.stringify(event)),
  );
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
