// What the server tells of jobs as it happens: see docs/websocket.md.
import type { Finding } from "./schema";

/** An event that is kept (`seq`), or of the moment (`after`: the last kept one before it). */
export interface JobEvent {
  readonly seq?: number;
  readonly after?: number;
  readonly job: string;
  readonly client: string;
  readonly attempt: number;
  readonly number: number | null;
  /** Such as `node.finished`; there may be kinds that the editor doesn't know. */
  readonly kind: string;
  /** Unix time; events of the moment have none. */
  readonly at?: number;
  readonly node: string | null;
  /** Since the attempt's run started. */
  readonly seconds: number | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export function numberIn(data: JobEvent["data"], name: string): number | null {
  const found = data[name];
  if (typeof found === "number") return found;
  // msgpack has whole numbers that JavaScript reads as these.
  return typeof found === "bigint" ? Number(found) : null;
}

export function textIn(data: JobEvent["data"], name: string): string | null {
  const found = data[name];
  return typeof found === "string" ? found : null;
}

export function textsIn(data: JobEvent["data"], name: string): readonly string[] {
  const found = data[name];
  return Array.isArray(found) ? found.filter((each) => typeof each === "string") : [];
}

/** A finding in an event's or an error's data; null if it is none. */
export function findingIn(found: unknown): Finding | null {
  if (typeof found !== "object" || found === null) return null;
  const given = found as Partial<Finding>;
  const isOne = typeof given.code === "string" && typeof given.message === "string";
  return isOne ? (given as Finding) : null;
}
