// Addresses of the server, and the faults that may come of requests.
import { rootPath } from "./rootPath";
import type { Finding } from "./schema";

export const API = "/api/v1";

/** What the server said no to: its `application/problem+json`, or as much as could be made of it. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly status: number;
  /** Of the kind, such as `job-not-found`; empty if there is none. */
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly problems: readonly Finding[];

  constructor(found: {
    status: number;
    code?: string;
    title?: string;
    detail?: string;
    problems?: readonly Finding[];
  }) {
    super(found.detail || found.title || `status ${found.status}`);
    this.status = found.status;
    this.problems = found.problems ?? [];
    this.code = found.code || this.problems[0]?.code || "";
    this.title = found.title ?? "";
    this.detail = found.detail ?? "";
  }
}

/** The server can't be reached; what was asked may or may not have been done. */
export class OfflineFault extends Error {
  override readonly name = "OfflineFault";
  constructor(message = "the server can't be reached", options?: ErrorOptions) {
    super(message, options);
  }
}

/** Whether somebody stopped waiting for an answer, which is no fault. */
export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export type Query = Readonly<
  Record<string, string | number | boolean | readonly string[] | null | undefined>
>;

const loginListeners = new Set<() => void>();

/** Be told when the server wants somebody to log in. */
export function onLoginNeeded(listener: () => void): () => void {
  loginListeners.add(listener);
  return () => loginListeners.delete(listener);
}

export function tellLoginNeeded(): void {
  for (const listener of loginListeners) listener();
}

/** Where to log in, and come back from; what is behind the # comes along without being sent. */
export function loginPlace(): string {
  const { pathname, search, hash } = window.location;
  return `${rootPath()}/login?next=${encodeURIComponent(pathname + search)}${hash}`;
}

export function addressOf(path: string, query: Query = {}): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    const values = Array.isArray(value) ? value : [value];
    for (const each of values) parts.append(name, String(each));
  }
  const asked = parts.toString();
  return `${rootPath()}${API}${path}${asked === "" ? "" : `?${asked}`}`;
}

/** What an answer that is no success says. */
export async function faultOf(answer: Response): Promise<ApiProblem | OfflineFault> {
  const found = parsed(await answer.text().catch(() => ""));
  // What stands before the server says these when the server is away.
  const isAway = answer.status === 502 || answer.status === 504;
  return isAway && found === null ? new OfflineFault() : problemFrom(answer.status, found);
}

/** A problem as the server writes it, over HTTP and on the websocket. */
export function problemFrom(status: number, found: unknown): ApiProblem {
  const given = (typeof found === "object" && found !== null ? found : {}) as Record<
    string,
    unknown
  >;
  return new ApiProblem({
    status: typeof given.status === "number" ? given.status : status,
    code: textOf(given.type).replace(/^.*\/problems\//, ""),
    title: textOf(given.title),
    detail: textOf(given.detail),
    problems: Array.isArray(given.problems) ? (given.problems as Finding[]) : [],
  });
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
