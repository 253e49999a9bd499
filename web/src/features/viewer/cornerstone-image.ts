// An image for Cornerstone: its unchanged pixels and the few DICOM attributes that Cornerstone requests.
import { Enums, type Types, utilities } from "@cornerstonejs/core";
import type { Frame } from "./geometry";
import type { Pixels } from "./pixels";

const MONOCHROME = "MONOCHROME2"; // the server stores 0 = black for every file

export interface LoadedImage {
  pixels: Pixels;
  frame: Frame;
  /** Where the first pixel lies in the world. */
  origin: readonly [number, number];
}

export function createImage(imageId: string, { pixels, frame }: LoadedImage): Types.IImage {
  const { width, height, bits, values } = pixels;
  const maximum = 2 ** bits - 1;
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({
    width,
    height,
    scalarData: values,
    numberOfComponents: 1,
  });
  return {
    imageId,
    width,
    height,
    columns: width,
    rows: height,
    columnPixelSpacing: frame.column,
    rowPixelSpacing: frame.row,
    color: false,
    rgba: false,
    numberOfComponents: 1,
    invert: false,
    photometricInterpretation: MONOCHROME,
    slope: 1,
    intercept: 0,
    minPixelValue: 0,
    maxPixelValue: maximum,
    windowCenter: (maximum + 1) / 2,
    windowWidth: maximum + 1,
    voiLUTFunction: Enums.VOILUTFunctionType.LINEAR,
    sizeInBytes: values.byteLength,
    dataType: bits === 8 ? "Uint8Array" : "Uint16Array",
    voxelManager,
    getPixelData: () => values,
    getCanvas: () => document.createElement("canvas"),
  };
}

/** Return the metadata that Cornerstone requests of an image (under its names for DICOM's modules). */
export function findMetadata(type: string, loaded: LoadedImage | undefined): object | undefined {
  if (!loaded) return undefined;
  const { pixels, frame } = loaded;
  switch (type) {
    case Enums.MetadataModules.IMAGE_PIXEL:
      return {
        bitsAllocated: pixels.bits,
        bitsStored: pixels.bits,
        highBit: pixels.bits - 1,
        samplesPerPixel: 1,
        pixelRepresentation: 0,
        photometricInterpretation: MONOCHROME,
      };
    case Enums.MetadataModules.IMAGE_PLANE:
      return {
        rows: frame.height,
        columns: frame.width,
        rowPixelSpacing: frame.row,
        columnPixelSpacing: frame.column,
        rowCosines: [1, 0, 0],
        columnCosines: [0, 1, 0],
        imagePositionPatient: [...loaded.origin, 0],
        imageOrientationPatient: [1, 0, 0, 0, 1, 0],
      };
    case Enums.MetadataModules.GENERAL_SERIES:
      return { modality: "DX" };
    default:
      return undefined;
  }
}
