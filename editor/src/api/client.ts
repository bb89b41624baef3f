/**
 * The server's REST interface. The compiler checks paths, queries and bodies against the server's
 * own description: `await api.GET("/jobs/{id}", { params: { path: { id } }, signal })`.
 */
import createClient, { type FetchResponse, type MaybeOptionalInit } from "openapi-fetch";
import { readJson, toPlain } from "@/model/json";
import { API, ApiProblem, faultOf, isAborted, OfflineFault, tellLoginNeeded } from "./http";
import { rootPath } from "./rootPath";
import type { JobDetail, paths } from "./schema";

/** The described paths, without what is the same in all of them. */
type Paths = {
  [Path in keyof paths as Path extends `${typeof API}${infer Short}` ? Short : never]: paths[Path];
};
type Method = "get" | "put" | "post" | "delete" | "patch";
type PathOf<Of extends Method> = {
  [Path in keyof Paths]: Paths[Path] extends Record<Of, unknown> ? Path : never;
}[keyof Paths];
type Operation<Of extends Method, Path extends PathOf<Of>> = Paths[Path][Of & keyof Paths[Path]] &
  Record<string, unknown>;

export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

// Not inferred from what a caller passes, which would let through queries that there are not.
type Init<Of extends Method, Path extends PathOf<Of>> = Omit<
  NonNullable<MaybeOptionalInit<Paths[Path], Of & keyof Paths[Path]>>,
  "signal"
> &
  Abortable;
type Arguments<Given> = Record<never, never> extends Given ? [init?: Given] : [init: Given];
type Answer<Of extends Method, Path extends PathOf<Of>> = Extract<
  FetchResponse<Operation<Of, Path>, object, "application/json">,
  { data: unknown }
>["data"];

/** Of a request's query: `QueryOf<"get", "/jobs">`. */
export type QueryOf<Of extends Method, Path extends PathOf<Of>> =
  Operation<Of, Path> extends { parameters: { query?: infer Query } } ? NonNullable<Query> : never;

/** Of a request's body. */
export type BodyOf<Of extends Method, Path extends PathOf<Of>> =
  Operation<Of, Path> extends { requestBody: { content: infer Content } }
    ? Content[keyof Content]
    : never;

const client = createClient<Paths>({
  // Looked up when it is needed: tests have their own.
  fetch: (request) => fetch(request),
  headers: { accept: "application/json" },
  credentials: "same-origin",
  bodySerializer: serialized,
});

client.use({
  onResponse: async ({ response }) => {
    if (response.ok || response.status === 304) return;
    if (response.status === 401) tellLoginNeeded();
    throw await faultOf(response);
  },
});

/** An answer with its headers. */
export function ask<Of extends Method, Path extends PathOf<Of>>(
  method: Of,
  path: Path,
  ...[init]: Arguments<Init<Of, Path>>
): Promise<{ readonly data: Answer<Of, Path>; readonly response: Response }> {
  const baseUrl = `${window.location.origin}${rootPath()}${API}`;
  const request = client.request as (...all: unknown[]) => Promise<{ response: Response }>;
  const { body } = (init ?? {}) as { readonly body?: unknown };
  const type =
    body instanceof Blob ? { "content-type": body.type || "application/octet-stream" } : {};
  const headers = { ...type, ...init?.headers };
  return reached(() => request(method, path, { ...init, headers, baseUrl })) as Promise<never>;
}

/** A connection that is lost, be it in the middle of an answer, is a fault of its own. */
async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApiProblem || error instanceof OfflineFault || isAborted(error))
      throw error;
    const isForeign = error instanceof SyntaxError;
    const words = isForeign ? "what came back is not from a nodegraph server" : undefined;
    throw new OfflineFault(words, { cause: error });
  }
}

function asker<Of extends Method>(method: Of) {
  return async <Path extends PathOf<Of>>(path: Path, ...init: Arguments<Init<Of, Path>>) =>
    (await ask(method, path, ...init)).data;
}

/** What the server answers; it throws `ApiProblem`s, and `OfflineFault`s where there is none. */
export const api = {
  GET: asker("get"),
  PUT: asker("put"),
  POST: asker("post"),
  PATCH: asker("patch"),
  DELETE: asker("delete"),
};

interface Read {
  readonly text: string;
  readonly blob: Blob;
  readonly arrayBuffer: ArrayBuffer;
}

/** An answer that is no JSON, or isn't to be read as such. */
export async function read<As extends keyof Read, Of extends Method, Path extends PathOf<Of>>(
  as: As,
  method: Of,
  path: Path,
  ...[init]: Arguments<Init<Of, Path>>
) {
  const options = { ...init, parseAs: "stream" };
  const { response } = await ask(method, path, ...([options] as never));
  const data = await reached(() => response[as]() as Promise<Read[As]>);
  return { data, etag: response.headers.get("etag") };
}

/** Of its parameters, whole numbers beyond 2^53 are bigints. */
export async function getJob(id: string, { signal }: Abortable = {}): Promise<JobDetail> {
  const { data } = await read("text", "get", "/jobs/{id}", { params: { path: { id } }, signal });
  return exactlyParsed(data) as JobDetail;
}

/** Digits where a number may stand, as many as one beyond 2^53 has. */
const LONG_NUMBER = /[:,[]\s*-?\d{16}/;

function exactlyParsed(text: string): unknown {
  // The browser's own reader takes a tenth of the time.
  return LONG_NUMBER.test(text) ? toPlain(readJson(text), { bigints: true }) : JSON.parse(text);
}

// Bodies

class Verbatim {
  constructor(readonly text: string) {}
}

/** JSON that is sent as it is written: JavaScript's own would lose what seeds say exactly.
 *
 * It is a whole body, or a member of one. */
export function verbatim(json: string): Record<string, unknown> {
  return new Verbatim(json) as unknown as Record<string, unknown>;
}

function serialized(body: unknown): string | Blob {
  if (body instanceof Blob) return body;
  if (body instanceof Verbatim) return body.text;
  const members = Object.entries(body as object).filter(([, value]) => value !== undefined);
  const texts = members.map(([name, value]) => {
    const text = value instanceof Verbatim ? value.text : JSON.stringify(value);
    return `${JSON.stringify(name)}:${text}`;
  });
  return `{${texts.join()}}`;
}

/** Whether a fault says that what was asked for isn't there, or not any more. */
export function isMissing(error: unknown): boolean {
  return error instanceof ApiProblem && (error.status === 404 || error.status === 410);
}
