// Requests to the server, and the faults that may come of them.
import { readJson, toPlain } from "@/model/json";
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

export interface RequestOptions {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, instead of `body`; JSON unless `type` says otherwise. */
  readonly text?: string | Blob;
  readonly type?: string;
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Whole numbers of the answer that JavaScript can't hold become bigints, as seeds may be. */
  readonly exact?: boolean;
  /** It is sent even if the page is being left. */
  readonly keepalive?: boolean;
}

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

/** The answer's JSON; `undefined` where there is none. */
export async function request<T>(
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<T> {
  const answer = await send(method, path, options);
  const text = await bodyOf(answer);
  if (text === "") return undefined as T;
  try {
    return (options.exact ? exactlyParsed(text) : JSON.parse(text)) as T;
  } catch (error) {
    throw new OfflineFault("what came back is not from a nodegraph server", { cause: error });
  }
}

/** Digits where a number may stand, as many as one beyond 2^53 has. */
const LONG_NUMBER = /[:,[]\s*-?\d{16}/;

function exactlyParsed(text: string): unknown {
  // The browser's own reader takes a tenth of the time.
  return LONG_NUMBER.test(text) ? toPlain(readJson(text), { bigints: true }) : JSON.parse(text);
}

/** The answer with its headers. */
export async function send(
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(addressOf(path, options.query), initOf(method, options));
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new OfflineFault(undefined, { cause: error });
  }
  if (answer.ok || answer.status === 304) return answer;
  if (answer.status === 401) tellLoginNeeded();
  throw await faultOf(answer);
}

/** The text of an answer; a connection that breaks in the middle of it counts as lost. */
export async function bodyOf(answer: Response): Promise<string> {
  try {
    return await answer.text();
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new OfflineFault(undefined, { cause: error });
  }
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

function initOf(method: string, options: RequestOptions): RequestInit {
  const headers: Record<string, string> = { accept: "application/json", ...options.headers };
  const body = options.text ?? (options.body === undefined ? null : JSON.stringify(options.body));
  if (body !== null) headers["content-type"] ??= options.type ?? "application/json";
  return {
    method,
    headers,
    body,
    credentials: "same-origin",
    signal: options.signal ?? null,
    keepalive: options.keepalive ?? false,
  };
}

async function faultOf(answer: Response): Promise<ApiProblem | OfflineFault> {
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
