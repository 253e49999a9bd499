// Fetches and decodes one image beside the page, which stays responsive while a large plate is unpacked.
import { decodeGrey, levelsOf, type Pixels } from "./pixels";

export type Decoded = { levels: Pixels[] } | Refused;
export interface Refused {
  /** Of the answer: 0 where none came, 200 where what came can't be decoded. */
  status: number;
  /** The answer's body, where it is a problem. */
  said: unknown;
  words: string;
}

self.onmessage = async (event: MessageEvent<string>) => {
  const answer = (decoded: Decoded, transfer: Transferable[] = []) => self.postMessage(decoded, { transfer });
  let status = 0;
  try {
    const response = await fetch(event.data, { credentials: "same-origin" });
    status = response.status;
    if (!response.ok)
      return answer({ status, said: await response.json().catch(() => null), words: response.statusText });
    const levels = levelsOf(decodeGrey(new Uint8Array(await response.arrayBuffer())));
    answer(
      { levels },
      levels.map(({ values }) => values.buffer),
    );
  } catch (error) {
    answer({ status, said: null, words: error instanceof Error ? error.message : String(error) });
  }
};
