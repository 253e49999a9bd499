// The end of a session. The server ends one after a time without requests, but a worklist that refreshes itself goes on
// asking: so the page watches for its reader too, warns, and logs out. Several tabs are one reader.
import { signal } from "@preact/signals";
import { api, endSession, logoutReason, me } from "./client";
import { forgetDrafts } from "./drafts";

/** Seconds until the log-off, while the warning is shown; null otherwise. */
export const secondsLeft = signal<number | null>(null);

const ACTIVITY_EVENTS = ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"] as const;
/** A warning lasts a minute, or a fifth of a very short session. */
const WARNING_SECONDS = 60;
/** Milliseconds: a hand that moves is told to the other tabs no more often. */
const BROADCAST_INTERVAL = 5000;

interface SessionMessage {
  kind: "used" | "out";
}

/** Watch for use until the returned function is called. `idle`: seconds without use after which the session ends. */
export function watchActivity(idle: number): () => void {
  const channel = new BroadcastChannel("pneumoscope.session");
  const warning = Math.min(WARNING_SECONDS, idle / 5);
  let lastActivity = Date.now();
  let lastBroadcast = lastActivity;
  let lastRequest = lastActivity;
  const recordActivity = (event?: Event) => {
    if (secondsLeft.value !== null && event?.type !== "stay") return; // a warning is answered by its buttons
    lastActivity = Date.now();
    if (lastActivity - lastBroadcast < BROADCAST_INTERVAL) return;
    lastBroadcast = lastActivity;
    channel.postMessage({ kind: "used" } satisfies SessionMessage);
  };
  channel.onmessage = ({ data }: MessageEvent<SessionMessage>) => {
    if (data.kind === "out") endSession();
    else {
      lastActivity = Date.now();
      secondsLeft.value = null;
    }
  };
  const check = () => {
    const now = Date.now();
    const remaining = idle - (now - lastActivity) / 1000;
    if (remaining <= 0) void logOut("idle");
    else secondsLeft.value = remaining <= warning ? Math.ceil(remaining) : null;
    // Reading an image asks the server for nothing: it is told of the reader now and then.
    if (lastActivity > lastRequest && now - lastRequest > (idle * 1000) / 4) {
      lastRequest = now;
      api.GET("/api/me").catch(() => {});
    }
  };
  confirmPresence = () => {
    secondsLeft.value = null;
    lastBroadcast = 0;
    lastRequest = 0;
    recordActivity(new Event("stay"));
    check();
  };
  for (const kind of ACTIVITY_EVENTS) addEventListener(kind, recordActivity, { passive: true });
  document.addEventListener("visibilitychange", check);
  const clock = setInterval(check, 1000);
  return () => {
    for (const kind of ACTIVITY_EVENTS) removeEventListener(kind, recordActivity);
    document.removeEventListener("visibilitychange", check);
    clearInterval(clock);
    channel.close();
    secondsLeft.value = null;
  };
}

let confirmPresence = (): void => {};

/** Answer the warning: still here. */
export function stayLoggedIn(): void {
  confirmPresence();
}

/** End the session, here at once and then on the server. What was typed is forgotten only where its writer leaves by hand. */
export async function logOut(reason: "self" | "idle"): Promise<void> {
  const csrf = me.value?.csrf ?? "";
  logoutReason.value = reason;
  me.value = null;
  if (reason === "self") forgetDrafts();
  const channel = new BroadcastChannel("pneumoscope.session");
  channel.postMessage({ kind: "out" } satisfies SessionMessage);
  channel.close();
  try {
    await api.POST("/api/logout", { headers: { "X-CSRF-Token": csrf }, keepalive: true }); // the page may be closed meanwhile
  } catch {
    // It has ended on the server already, or the server is away: here it has ended in any case.
  }
}
