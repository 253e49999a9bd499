// Decompressors without types of their own. What those of `codecs.ts` give stands there.
declare module "@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs";
declare module "@cornerstonejs/codec-charls/decodewasmjs";
declare module "@cornerstonejs/codec-openjpeg/decodewasmjs";
declare module "jpeg-lossless-decoder-js" {
  export class Decoder {
    /** Return the samples of a lossless JPEG (ISO/IEC 10918-1 annex H), `bytes` of memory each. */
    decode(buffer: ArrayBuffer, offset: number, length: number, bytes: number): { buffer: ArrayBuffer };
  }
}
