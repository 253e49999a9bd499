// The names of the files in a ZIP archive, read in the browser: names are not sent, and the sender still learns which
// file was refused (PKWARE APPNOTE 4.3.12 and 4.3.16).

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LONGEST_COMMENT = 65_535;
const LARGEST_DIRECTORY = 16 * 2 ** 20;
const UTF8_FLAG = 0x800;

/** Return the names of an archive's files in their order, without folders; none where the archive is damaged. */
export async function readZipNames(file: Blob): Promise<string[]> {
  const tail = await readView(file, file.size - END_BYTES - LONGEST_COMMENT, file.size);
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END_SIGNATURE) continue;
    const [size, start] = [tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
    if (size > LARGEST_DIRECTORY) return [];
    return readDirectory(await readView(file, start, start + size)).filter((name) => !name.endsWith("/"));
  }
  return [];
}

function readDirectory(view: DataView): string[] {
  const names: string[] = [];
  let at = 0;
  while (at + ENTRY_BYTES <= view.byteLength && view.getUint32(at, true) === ENTRY_SIGNATURE) {
    const [flags, length] = [view.getUint16(at + 8, true), view.getUint16(at + 28, true)];
    if (at + ENTRY_BYTES + length > view.byteLength) return names;
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at + ENTRY_BYTES, length);
    names.push(new TextDecoder(flags & UTF8_FLAG ? "utf-8" : "latin1").decode(bytes));
    at += ENTRY_BYTES + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return names;
}

async function readView(file: Blob, start: number, end: number): Promise<DataView> {
  return new DataView(await file.slice(Math.max(0, start), end).arrayBuffer());
}
