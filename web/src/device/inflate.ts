// Inflating within a limit: a few megabytes of a file may be the code of gigabytes.
import { Inflate, Unzlib } from "fflate";

/** Bytes that are inflated at a time: at most 64 MiB come of them. */
const PIECE = 2 ** 16;

/**
 * Return the first bytes of what was deflated, `limit` at most, in pieces; fewer where it ends too early.
 * @param coded - The parts of one stream.
 * @param raw - The stream is deflate alone, without the frame of zlib.
 * @throws Error - The stream is damaged before the limit.
 */
export function inflate(coded: readonly Uint8Array[], limit: number, raw = false): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const keep = (piece: Uint8Array) => {
    pieces.push(piece.subarray(0, limit - size));
    size += pieces.at(-1)?.length ?? 0;
  };
  const stream = raw ? new Inflate(keep) : new Unzlib(keep);
  for (const part of coded)
    for (let at = 0; at < part.length; at += PIECE) {
      if (size >= limit) return pieces;
      stream.push(part.subarray(at, at + PIECE));
    }
  return pieces;
}
