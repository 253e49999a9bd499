// Fetches and decodes one image beside the page, which stays responsive while a large plate is unpacked.
import { decodeGrey } from "./pixels";

self.onmessage = async (event: MessageEvent<string>) => {
  try {
    const response = await fetch(event.data, { credentials: "same-origin" });
    if (!response.ok) throw new Error(String(response.status));
    const pixels = decodeGrey(new Uint8Array(await response.arrayBuffer()));
    self.postMessage({ pixels }, { transfer: [pixels.values.buffer] });
  } catch (error) {
    self.postMessage({ problem: String(error) });
  }
};
