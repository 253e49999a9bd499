// All requests go through this client: it adds the session's CSRF token and turns each refusal into a `Problem`.

import { signal } from "@preact/signals";
import createClient from "openapi-fetch";
import { suspectServer } from "./connection";
import type { paths } from "./schema";
import type { About, Me } from "./types";

/** Why a request was refused. The page has a message for most codes; the server's text is the fallback. */
export interface Refusal {
  /** The key of the page's message; the catalogue may have none for it. */
  key: string;
  /** The values of the message's placeholders. */
  values: Record<string, unknown>;
  /** The server's text, in English. */
  message: string;
}

/** The prefix of a problem's `type`; the code follows it. */
export const PROBLEM_TYPE_PREFIX = "urn:pneumoscope:problem:";
/** Our codes, by status, for responses without a code: no response came, or a proxy responded instead of the server. */
const FALLBACK_CODES: Record<number, string> = { 0: "away", 413: "large", 429: "busy", 502: "away", 504: "away" };

/** A refusal of the server (RFC 9457): its text names what was refused, the rule and the way out. */
export class Problem extends Error implements Refusal {
  readonly key: string;
  readonly values: Record<string, unknown>;

  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** The number of the request; the server's log has more under it. */
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

/** The current user; null until they have logged in. */
export const me = signal<Me | null>(null);
/** Why the session ended: by the user, by inactivity, or by the server; null if there was no session. */
export const logoutReason = signal<"self" | "idle" | "server" | null>(null);
/** The server's description of itself; null until it has responded. */
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
    void suspectServer();
    throw new Problem(0, "", "the server can't be reached", "");
  },
});

/** Mark the session as ended by the server. */
export function endSession(): void {
  if (me.value !== null) logoutReason.value = "server";
  me.value = null;
}

/** Return the problem of a response that is not OK. */
async function readProblem(response: Response): Promise<Problem> {
  const payload: unknown = await response.json().catch(() => null);
  return parseProblem(response.status, payload, response.statusText);
}

/**
 * Return the problem in the body of a response.
 * @param payload The body. A proxy's own page is not a JSON object.
 * @param fallback The detail to use if the body is not an object.
 */
export function parseProblem(status: number, payload: unknown, fallback = ""): Problem {
  if (typeof payload !== "object" || payload === null) return new Problem(status, "", fallback, "");
  const { title, detail, instance, ...extensions } = payload as Record<string, unknown>;
  return new Problem(status, String(title ?? ""), String(detail ?? ""), String(instance ?? ""), extensions);
}

/** Return the body of a response that is OK; the middleware throws for any other. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}

/** Load the current user. If nobody is logged in, `me` stays null and the page shows the login. */
export async function loadSession(): Promise<void> {
  try {
    const account = await body(api.GET("/api/me"));
    about.value = await body(api.GET("/api/about"));
    me.value = account;
  } catch (error) {
    if (!(error instanceof Problem && error.status === 401)) throw error;
  }
}
