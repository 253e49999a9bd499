// Fetches and decodes one image in a worker, so that the page stays responsive with large images.
import { buildLevels, decodeGrey, type Pixels } from "./pixels";

export type DecodeResult = { levels: Pixels[] } | DecodeFailure;
interface DecodeFailure {
  /** The status of the response: 0 if none came, 200 if its body can't be decoded. */
  status: number;
  /** The body of the response if it is a problem. */
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
