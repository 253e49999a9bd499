// The end of a session. The server ends a session without requests, but an open worklist sends requests by itself. So
// the page also watches for activity, warns, and logs out. All tabs share one session.
import { signal } from "@preact/signals";
import { api, endSession, logoutReason, me } from "./client";
import { forgetDrafts } from "./drafts";

/** Seconds until the automatic logout while the warning is shown; null otherwise. */
export const secondsLeft = signal<number | null>(null);

const ACTIVITY_EVENTS = ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"] as const;
/** The warning lasts one minute, or a fifth of the session if that is shorter. */
const WARNING_SECONDS = 60;
/** Milliseconds between two messages to the other tabs about activity in this one. */
const BROADCAST_INTERVAL = 5000;

interface SessionMessage {
  kind: "used" | "out";
}

/** Watch for activity until the returned function is called. The session ends after `idle` seconds without any. */
export function watchActivity(idle: number): () => void {
  const channel = new BroadcastChannel("pneumoscope.session");
  const warning = Math.min(WARNING_SECONDS, idle / 5);
  let lastActivity = Date.now();
  let lastBroadcast = lastActivity;
  let lastRequest = lastActivity;
  const recordActivity = (event?: Event) => {
    if (secondsLeft.value !== null && event?.type !== "stay") return; // only the buttons of the warning dismiss it
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
    // Viewing an image sends no requests, so the page reports activity to the server from time to time.
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

/** Dismiss the warning and stay logged in. */
export function stayLoggedIn(): void {
  confirmPresence();
}

/** End the session on this page at once, then on the server. Drafts are deleted only if the user logs out by hand. */
export async function logOut(reason: "self" | "idle"): Promise<void> {
  const csrf = me.value?.csrf ?? "";
  logoutReason.value = reason;
  me.value = null;
  if (reason === "self") forgetDrafts();
  const channel = new BroadcastChannel("pneumoscope.session");
  channel.postMessage({ kind: "out" } satisfies SessionMessage);
  channel.close();
  try {
    // keepalive: the user may close the page before the response comes
    await api.POST("/api/logout", { headers: { "X-CSRF-Token": csrf }, keepalive: true });
  } catch {
    // The session has already ended on the server, or the server is unreachable. On this page it has ended anyway.
  }
}
