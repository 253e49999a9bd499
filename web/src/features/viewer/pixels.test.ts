// The PNG files are written here by hand (PNG specification, third edition, 5 and 11.2), not by the decoding library.
import { crc32, deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { buildLevels, decodeGrey, halve } from "./pixels";

function png(width: number, height: number, depth: number, colourType: number, rows: number[][]): Uint8Array {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    size.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([size, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([depth, colourType, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(Buffer.from(rows.flat()));
  return new Uint8Array(
    Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]),
  );
}

test("16 bits stay 16 bits, the more significant byte first", () => {
  // 258 = 0x0102, 65535, 0; then 1, 32768 = 0x8000, 40961 = 0xa001. Filter 0 in each row.
  const file = png(3, 2, 16, 0, [
    [0, 1, 2, 255, 255, 0, 0],
    [0, 0, 1, 128, 0, 160, 1],
  ]);
  const { width, height, bits, values } = decodeGrey(file);
  expect([width, height, bits]).toEqual([3, 2, 16]);
  expect(values).toBeInstanceOf(Uint16Array);
  expect([...values]).toEqual([258, 65535, 0, 1, 32768, 40961]);
});

test("8 bits with filters: bytes are differences from the left (11.2, type 1), then from above (type 2)", () => {
  const file = png(4, 2, 8, 0, [
    [1, 10, 5, 5, 250],
    [2, 1, 1, 1, 1],
  ]);
  const { bits, values } = decodeGrey(file);
  expect(bits).toBe(8);
  expect([...values]).toEqual([10, 15, 20, 14, 11, 16, 21, 15]);
});

test("a picture in colour is not a radiograph", () => {
  expect(() => decodeGrey(png(1, 1, 8, 2, [[0, 1, 2, 3]]))).toThrow(/3 channels of 8 bits/);
});

test("means of 2 x 2 pixels, rounded to the nearest; at an odd edge of what is there", () => {
  // Columns 1 and 2, then 3 alone: (1 + 2 + 4 + 5) / 4 = 3, (3 + 6) / 2 = 4.5 -> 5, (7 + 8) / 2 = 7.5 -> 8, 9.
  const values = new Uint16Array([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const half = halve({ width: 3, height: 3, bits: 16, values });
  expect([half.width, half.height, ...half.values]).toEqual([2, 2, 3, 5, 8, 9]);
});

test("levels go down to what any viewport can show whole", () => {
  const plate = { width: 2049, height: 10, bits: 8, values: new Uint8Array(20490).fill(200) } as const;
  const levels = buildLevels(plate);
  expect(levels.map(({ width, height }) => [width, height])).toEqual([
    [2049, 10],
    [1025, 5],
    [513, 3],
    [257, 2],
  ]);
  expect(levels.every(({ values }) => values.every((value) => value === 200))).toBe(true);
});
