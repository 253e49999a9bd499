// The end of a session. The server ends one after a time without requests, but a worklist that refreshes itself goes on
// asking: so the page watches for its reader too, warns, and logs out. Several tabs are one reader.
import { signal } from "@preact/signals";
import { api, ended, lost, me } from "./client";
import { forget } from "./drafts";

/** Seconds until the log-off, while the warning is shown; null otherwise. */
export const left = signal<number | null>(null);

const USES = ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"] as const;
/** A warning lasts a minute, or a fifth of a very short session. */
const WARNED = 60;
/** Milliseconds: a hand that moves is told to the other tabs no more often. */
const TOLD = 5000;

interface Heard {
  kind: "used" | "out";
}

/** Watch for use until the returned function is called. `idle`: seconds without use after which the session ends. */
export function watchUse(idle: number): () => void {
  const channel = new BroadcastChannel("pneumoscope.session");
  const warning = Math.min(WARNED, idle / 5);
  let used = Date.now();
  let told = used;
  let asked = used;
  const use = (event?: Event) => {
    if (left.value !== null && event?.type !== "stay") return; // a warning is answered by its buttons
    used = Date.now();
    if (used - told < TOLD) return;
    told = used;
    channel.postMessage({ kind: "used" } satisfies Heard);
  };
  channel.onmessage = ({ data }: MessageEvent<Heard>) => {
    if (data.kind === "out") lost();
    else {
      used = Date.now();
      left.value = null;
    }
  };
  const look = () => {
    const now = Date.now();
    const rest = idle - (now - used) / 1000;
    if (rest <= 0) void leave("idle");
    else left.value = rest <= warning ? Math.ceil(rest) : null;
    // Reading an image asks the server for nothing: it is told of the reader now and then.
    if (used > asked && now - asked > (idle * 1000) / 4) {
      asked = now;
      api.GET("/api/me").catch(() => {});
    }
  };
  answer = () => {
    left.value = null;
    told = 0;
    asked = 0;
    use(new Event("stay"));
    look();
  };
  for (const kind of USES) addEventListener(kind, use, { passive: true });
  document.addEventListener("visibilitychange", look);
  const clock = setInterval(look, 1000);
  return () => {
    for (const kind of USES) removeEventListener(kind, use);
    document.removeEventListener("visibilitychange", look);
    clearInterval(clock);
    channel.close();
    left.value = null;
  };
}

let answer = (): void => {};

/** Answer the warning: still here. */
export function stay(): void {
  answer();
}

/** End the session, here at once and then on the server. What was typed is forgotten only where its writer leaves by hand. */
export async function leave(why: "self" | "idle"): Promise<void> {
  const csrf = me.value?.csrf ?? "";
  ended.value = why;
  me.value = null;
  if (why === "self") forget();
  const channel = new BroadcastChannel("pneumoscope.session");
  channel.postMessage({ kind: "out" } satisfies Heard);
  channel.close();
  try {
    await api.POST("/api/logout", { headers: { "X-CSRF-Token": csrf }, keepalive: true }); // the page may be closed meanwhile
  } catch {
    // It has ended on the server already, or the server is away: here it has ended in any case.
  }
}
