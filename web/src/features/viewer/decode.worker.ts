// Fetches and decodes one image beside the page, which stays responsive while a large plate is unpacked.
import { buildLevels, decodeGrey, type Pixels } from "./pixels";

export type DecodeResult = { levels: Pixels[] } | DecodeFailure;
export interface DecodeFailure {
  /** Of the answer: 0 where none came, 200 where what came can't be decoded. */
  status: number;
  /** The answer's body, where it is a problem. */
  payload: unknown;
  message: string;
}

self.onmessage = async (event: MessageEvent<string>) => {
  const reply = (decoded: DecodeResult, transfer: Transferable[] = []) => self.postMessage(decoded, { transfer });
  let status = 0;
  try {
    const response = await fetch(event.data, { credentials: "same-origin" });
    status = response.status;
    if (!response.ok)
      return reply({ status, payload: await response.json().catch(() => null), message: response.statusText });
    const levels = buildLevels(decodeGrey(new Uint8Array(await response.arrayBuffer())));
    reply(
      { levels },
      levels.map(({ values }) => values.buffer),
    );
  } catch (error) {
    reply({ status, payload: null, message: error instanceof Error ? error.message : String(error) });
  }
};
