// Whether the server can be reached. A request or a stream that fails is a suspicion; a probe confirms it, and further
// probes find out when the server is back.
import { signal } from "@preact/signals";

/** Whether the last probe failed. */
export const serverGone = signal(false);

const PROBE_TIMEOUT = 3000;
const PROBE_INTERVAL = 2000;
let probing = false;

/** Find out whether the server is gone, and wait until it is back. */
export async function suspectServer(): Promise<void> {
  if (probing) return;
  probing = true;
  try {
    while (!(await answers())) {
      serverGone.value = true;
      await new Promise((done) => setTimeout(done, PROBE_INTERVAL));
    }
    serverGone.value = false;
  } finally {
    probing = false;
  }
}

async function answers(): Promise<boolean> {
  try {
    const options = { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT) } as const;
    return (await fetch("/healthz", options)).ok;
  } catch {
    return false;
  }
}
