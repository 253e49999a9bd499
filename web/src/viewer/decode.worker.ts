// Fetches and decodes one image beside the page, which stays responsive while a large plate is unpacked.
import { decodeGrey, levelsOf, type Pixels } from "./pixels";

export type Decoded = { levels: Pixels[] } | { problem: string; status: number };

self.onmessage = async (event: MessageEvent<string>) => {
  const answer = (decoded: Decoded, transfer: Transferable[] = []) => self.postMessage(decoded, { transfer });
  let status = 0;
  try {
    const response = await fetch(event.data, { credentials: "same-origin" });
    status = response.status;
    if (!response.ok) throw new Error(`${status} ${response.statusText}`.trim());
    const levels = levelsOf(decodeGrey(new Uint8Array(await response.arrayBuffer())));
    answer(
      { levels },
      levels.map(({ values }) => values.buffer),
    );
  } catch (error) {
    answer({ problem: error instanceof Error ? error.message : String(error), status });
  }
};
