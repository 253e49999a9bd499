import { expect, test } from "vitest";
import { readZipNames } from "./zip-names";

/** An archive that Python's zipfile wrote: a folder, a name in UTF-8, a plain name, and a comment at the end. */
const ARCHIVE = [
  "UEsDBBQAAAAAAAAAIQAAAAAAAAAAAAAAAAACAAAAYS9QSwMEFAAACAAAAAAhAIMW3IwBAAAAAQAAAA0AAABhL03DvGxsZXIuZGNt",
  "eFBLAwQUAAAAAAAAACEAFSbb+wEAAAABAAAABQAAAGIucG5neVBLAQIUAxQAAAAAAAAAIQAAAAAAAAAAAAAAAAACAAAAAAAAAAAA",
  "AACAAQAAAABhL1BLAQIUAxQAAAgAAAAAIQCDFtyMAQAAAAEAAAANAAAAAAAAAAAAAACAASAAAABhL03DvGxsZXIuZGNtUEsBAhQD",
  "FAAAAAAAAAAhABUm2/sBAAAAAQAAAAUAAAAAAAAAAAAAAIABTAAAAGIucG5nUEsFBgAAAAADAAMAngAAAHAAAAAEAG5vdGU=",
].join("");

test("the names in an archive are those of its files, in their order", async () => {
  const bytes = Uint8Array.from(atob(ARCHIVE), (letter) => letter.charCodeAt(0));
  expect(await readZipNames(new Blob([bytes]))).toEqual(["a/Müller.dcm", "b.png"]);
  expect(await readZipNames(new Blob([bytes.slice(0, 60)]))).toEqual([]);
  expect(await readZipNames(new Blob([]))).toEqual([]);
});
