import { crc32, deflateRawSync, deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { join } from "./bytes";
import { decode } from "./decode";
import { inflate } from "./inflate";

const inflated = (...given: Parameters<typeof inflate>) => join(inflate(...given));

const noise = Buffer.alloc(1.8e6);
for (let k = 0, state = 1; k < noise.length; k++) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  noise[k] = state >>> 24;
}

/** Return some bytes and noise after them, as blocks of deflate that are stored; all is damaged after two thirds. */
function deflateDamaged(first: Uint8Array): Buffer {
  const coded = deflateSync(Buffer.concat([first, noise]), { level: 0 });
  return coded.fill(0xff, Math.floor((2 / 3) * coded.length));
}

function chunk(kind: string, ...contents: Uint8Array[]): Buffer {
  const named = Buffer.concat([Buffer.from(kind), ...contents]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(named.length - 4);
  checksum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, checksum]);
}

async function read(...chunks: Buffer[]): Promise<number[]> {
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  const header = chunk("IHDR", Buffer.from([0, 0, 0, 4, 0, 0, 0, 2, 8, 0, 0, 0, 0])); // 4 x 2 pixels, 8-bit grey
  const { values } = await decode(new Uint8Array(Buffer.concat([signature, header, ...chunks, chunk("IEND")])));
  return [...values].map((value) => Math.round(255 * value));
}

test("what is inflated ends at the limit, and with the stream", () => {
  const data = noise.subarray(0, 300_000);
  for (const raw of [false, true]) {
    const coded = raw ? deflateRawSync(data) : deflateSync(data);
    expect(data.equals(inflated([coded], 1e6, raw))).toBe(true);
    expect(data.subarray(0, 1000).equals(inflated([coded.subarray(0, 50), coded.subarray(50)], 1000, raw))).toBe(true);
    expect(inflated([coded.subarray(0, coded.length >> 1)], 1e6, raw).length).toBeLessThan(300_000);
  }
  expect(() => inflated([deflateDamaged(data)], 4e6)).toThrow();
  expect(data.equals(inflated([deflateDamaged(data)], data.length))).toBe(true);
  expect(inflated([deflateSync(Buffer.alloc(2 ** 22))], 10)).toEqual(new Uint8Array(10));
});

test("image data beyond the last row and long notes are not inflated", async () => {
  const upright = [10, 20, 30, 40, 50, 60, 70, 80];
  const rows = Buffer.from([0, 10, 20, 30, 40, 0, 50, 60, 70, 80]);
  const image = chunk("IDAT", deflateDamaged(rows));
  expect(await read(chunk("IDAT", deflateSync(rows)))).toEqual(upright);
  expect(await read(image)).toEqual(upright);
  const packet = Buffer.from("XML:com.adobe.xmp\0\x01\0\0\0");
  const turned = deflateDamaged(Buffer.from('<x tiff:Orientation="3"/>'));
  expect(await read(chunk("iTXt", packet, turned), image)).toEqual([...upright].reverse());
  expect(await read(chunk("zTXt", Buffer.from("Raw profile type exif\0\0"), turned), image)).toEqual(upright);
});
