import { expect, test } from "vitest";
import { senderName } from "./sender";

test("a peer is named by its AE title, an account by its number", () => {
  expect(senderName("dicom:CR1")).toBe("CR1");
  expect(senderName("dicom:dicom:X")).toBe("dicom:X");
  expect(senderName("3f9a")).toContain("3f9a");
});
