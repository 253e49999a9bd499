// The decompressors, as WebAssembly: libjpeg-turbo (which Pillow has too), CharLS (JPEG-LS) and OpenJPEG (JPEG 2000).
// Each is loaded when a file first needs it.
import { FileProblem } from "./picture";

/** What a decompressor gives: samples of a frame, interleaved. */
export interface Frame {
  width: number;
  height: number;
  samples: number;
  bits: number;
  signed: boolean;
  values: Uint8Array | Uint16Array | Int16Array;
}

interface FrameInfo {
  width: number;
  height: number;
  bitsPerSample: number;
  componentCount: number;
  isSigned?: boolean;
}
interface Decoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getFrameInfo(): FrameInfo;
  getDecodedBuffer(): Uint8Array;
  getInterleaveMode?(): number;
  delete(): void;
}
type CodecModule = Record<string, new () => Decoder>;
type Factory = (options: { wasmBinary: Uint8Array }) => Promise<CodecModule>;
type Name = "jpeg" | "jpeg-ls" | "jpeg-2000";

const CODECS: Record<Name, { decoder: string; script: () => Promise<unknown>; binary: () => Promise<unknown> }> = {
  jpeg: {
    decoder: "JPEGDecoder",
    script: () => import("@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs"),
    binary: () => import("@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasm?url"),
  },
  "jpeg-ls": {
    decoder: "JpegLSDecoder",
    script: () => import("@cornerstonejs/codec-charls/decodewasmjs"),
    binary: () => import("@cornerstonejs/codec-charls/decodewasm?url"),
  },
  "jpeg-2000": {
    decoder: "J2KDecoder",
    script: () => import("@cornerstonejs/codec-openjpeg/decodewasmjs"),
    binary: () => import("@cornerstonejs/codec-openjpeg/decodewasm?url"),
  },
};
const loaded = new Map<Name, Promise<CodecModule>>();

/** Fetches the bytes of a WebAssembly file; tests put another one here. */
export const binaries = {
  async fetch(url: string): Promise<Uint8Array> {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  },
};

async function load(name: Name): Promise<CodecModule> {
  const { script, binary } = CODECS[name];
  const [{ default: factory }, { default: url }] = (await Promise.all([script(), binary()])) as [
    { default: Factory | { default: Factory } },
    { default: string },
  ];
  const make = typeof factory === "function" ? factory : factory.default;
  return make({ wasmBinary: await binaries.fetch(url) });
}

/** Return what a decompressor makes of a stream. */
export async function decompress(name: Name, stream: Uint8Array): Promise<Frame> {
  let module = loaded.get(name);
  if (!module) {
    module = load(name);
    module.catch(() => loaded.delete(name));
    loaded.set(name, module);
  }
  const Decoder = (await module)[CODECS[name].decoder];
  if (!Decoder) throw new Error(`no decoder for ${name}`);
  const decoder = new Decoder();
  try {
    decoder.getEncodedBuffer(stream.length).set(stream);
    decoder.decode();
    const { width, height, bitsPerSample, componentCount, isSigned = false } = decoder.getFrameInfo();
    const bytes = decoder.getDecodedBuffer().slice(); // it lies in the decompressor's memory
    let values: Frame["values"] = bytes;
    if (bitsPerSample > 8)
      values = isSigned
        ? new Int16Array(bytes.buffer, 0, bytes.length >> 1)
        : new Uint16Array(bytes.buffer, 0, bytes.length >> 1);
    if (values.length < width * height * componentCount) throw new Error("too few samples");
    return { width, height, samples: componentCount, bits: bitsPerSample, signed: isSigned, values };
  } catch (error) {
    throw new FileProblem("damaged", `its compressed pixels are damaged: ${String(error)}`);
  } finally {
    decoder.delete();
  }
}
