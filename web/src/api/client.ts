// Every request goes through here: it carries the session's CSRF token, and a refusal becomes one kind of error.

import { signal } from "@preact/signals";
import createClient from "openapi-fetch";
import type { paths } from "./schema";
import type { About, Me } from "./types";

/** Why something was refused: the page has a message for most codes, and the server's own words for all. */
export interface Refusal {
  /** Of the page's message, where there is one. */
  key: string;
  /** What the message has places for. */
  values: Record<string, unknown>;
  /** The server's words, in English. */
  message: string;
}

/** What a problem's `type` begins with; its code follows. */
export const PROBLEM_TYPE_PREFIX = "urn:pneumoscope:problem:";
/** Codes of ours for what has none: no answer came, or a proxy answered in the server's place. */
const FALLBACK_CODES: Record<number, string> = { 0: "away", 413: "large", 429: "busy", 502: "away", 504: "away" };

/** Why the server refused (RFC 9457): its words say what, which rule, and the way out. */
export class Problem extends Error implements Refusal {
  readonly key: string;
  readonly values: Record<string, unknown>;

  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** Number of the request, under which the server's log has more. */
    readonly instance: string,
    readonly extensions: Record<string, unknown> = {},
  ) {
    super(`${title} ${detail}`.trim());
    const { type, values } = extensions;
    const code =
      typeof type === "string" && type.startsWith(PROBLEM_TYPE_PREFIX) ? type.slice(PROBLEM_TYPE_PREFIX.length) : null;
    this.key = `problem.${code ?? (title === "" ? FALLBACK_CODES[status] : "")}`;
    this.values = (values ?? {}) as Record<string, unknown>;
  }
}

/** Who is asking; null until they have logged in. */
export const me = signal<Me | null>(null);
/** Why nobody is logged in any more: by hand, for want of use, or by the server; null where nobody was. */
export const logoutReason = signal<"self" | "idle" | "server" | null>(null);
/** What the server is; null until it has answered. */
export const about = signal<About | null>(null);

export const api = createClient<paths>({ baseUrl: "/", credentials: "same-origin" });

api.use({
  onRequest({ request }) {
    if (me.value?.csrf) request.headers.set("X-CSRF-Token", me.value.csrf);
    return request;
  },
  async onResponse({ response, request }) {
    if (response.ok) return;
    const problem = await readProblem(response);
    if (problem.status === 401 && !request.url.endsWith("/api/login")) endSession();
    throw problem;
  },
  onError() {
    throw new Problem(0, "", "the server can't be reached", "");
  },
});

/** The server knows nobody here any more. */
export function endSession(): void {
  if (me.value !== null) logoutReason.value = "server";
  me.value = null;
}

/** Return what an answer that is not OK says. */
export async function readProblem(response: Response): Promise<Problem> {
  const payload: unknown = await response.json().catch(() => null);
  return parseProblem(response.status, payload, response.statusText);
}

/**
 * Return a problem out of the body of an answer.
 * @param payload The body; anything that is no object where it is a proxy's own page.
 * @param fallback What stands for it then.
 */
export function parseProblem(status: number, payload: unknown, fallback = ""): Problem {
  if (typeof payload !== "object" || payload === null) return new Problem(status, "", fallback, "");
  const { title, detail, instance, ...extensions } = payload as Record<string, unknown>;
  return new Problem(status, String(title ?? ""), String(detail ?? ""), String(instance ?? ""), extensions);
}

/** Return the body of an answer that is OK; the middleware has thrown for any other. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}

/** Ask who is there. Without a session in a department this leaves `me` null, and the page shows the login. */
export async function loadSession(): Promise<void> {
  try {
    const account = await body(api.GET("/api/me"));
    about.value = await body(api.GET("/api/about"));
    me.value = account;
  } catch (error) {
    if (!(error instanceof Problem && error.status === 401)) throw error;
  }
}
