/**
 * Strokes that are drawn and not yet kept with their workflow: its file takes a moment to be made.
 *
 * A stroke is in the browser's database as soon as the pointer is up. It goes from there once the
 * workflow that shows it is kept. What is left there when a page starts was lost by a page that ended
 * too early, and is drawn again.
 */
import { createStore, delMany, entries, type UseStore } from "idb-keyval";
import { ownName } from "@/api/rootPath";
import type { Scope } from "@/model/scope";
import { saveNow } from "./autosave";

/** What was drawn on a layer. */
export interface DrawnStroke {
  readonly document: string;
  readonly scope: Scope;
  /** The layer's node. */
  readonly node: string;
  /** The value of the layer's picture in the graph when it was drawn. */
  readonly before: string;
  /** What was done, for the history; translated. */
  readonly label: string;
  readonly operation: "source-over" | "source-atop" | "destination-out" | "replace";
  readonly opacity: number;
  readonly rect: {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  };
  /** RGBA, row by row. */
  readonly bytes: Uint8ClampedArray<ArrayBuffer>;
}

export interface LostStroke extends DrawnStroke {
  readonly key: string;
  /** The value that the layer got by it; null if the page ended before. */
  readonly after: string | null;
}

/** Copying more than this many bytes would be felt when the pointer goes up. */
const MOST_BYTES = 64 * 2 ** 20;
/** Strokes of workflows that never came back, in milliseconds. */
const LONGEST_KEPT = 7 * 24 * 3600 * 1000;

/** Ends the key of what a stroke's layer got by it. */
const AFTER = "/after";

let store: UseStore | null = null;
let last = 0;

function journal(): UseStore {
  store ??= createStore(ownName("nodegraph.strokes"), "strokes");
  return store;
}

/** Open the database, so that the first stroke doesn't wait for it. */
export function openJournal(): void {
  void entries(journal()).catch(() => undefined);
}

/** Write a stroke down at once; gives what is called with the value that its layer got by it. */
export function writeAhead(stroke: DrawnStroke): (after: string | null) => Promise<void> {
  const { bytes } = stroke;
  if (bytes.length > MOST_BYTES) return () => Promise.resolve();
  // Keys are in order, as strokes are drawn again in theirs.
  last = Math.max(last + 1, Date.now());
  const key = String(last).padStart(16, "0");
  void write(key, stroke);
  return async (after) => {
    if (after !== null) {
      void write(key + AFTER, after);
      await saveNow();
    }
    await forgetStroke(key);
  };
}

/** A page that ends aborts transactions that wait for more: this one is closed at once. */
async function write(key: string, record: DrawnStroke | string): Promise<void> {
  await journal()("readwrite", (records) => {
    records.put(record, key);
    records.transaction.commit();
  }).catch(() => undefined);
}

/**
 * The strokes of a graph that its layers don't show, in their order.
 *
 * @param pictureOf The value of a layer's picture; null for a layer that is gone.
 */
export async function lostStrokes(
  document: string,
  scope: Scope,
  pictureOf: (node: string) => string | null,
): Promise<readonly LostStroke[]> {
  const all = new Map(
    await entries<string, DrawnStroke | string>(journal()).catch(
      (): [string, DrawnStroke | string][] => [],
    ),
  );
  const strokes = [...all].flatMap(([key, stroke]): readonly LostStroke[] => {
    const after = all.get(key + AFTER);
    return typeof stroke === "string"
      ? []
      : [{ ...stroke, key, after: typeof after === "string" ? after : null }];
  });
  for (const { key } of strokes)
    if (Number(key) < Date.now() - LONGEST_KEPT) void forgetStroke(key);
  const own = strokes
    .filter((stroke) => stroke.document === document && stroke.scope === scope)
    .toSorted((a, b) => a.key.localeCompare(b.key));
  const nodes = [...new Set(own.map(({ node }) => node))];
  const lost = nodes.flatMap((node) => {
    const ofLayer = own.filter((stroke) => stroke.node === node);
    return missingIn(ofLayer, pictureOf(node));
  });
  // What the layers show, or was undone, is no more to be kept.
  const kept = new Set(lost.map(({ key }) => key));
  for (const { key } of own) if (!kept.has(key)) void forgetStroke(key);
  return lost.toSorted((a, b) => a.key.localeCompare(b.key));
}

/** What of a layer's strokes comes after the one that its picture shows. */
export function missingIn(
  strokes: readonly LostStroke[],
  value: string | null,
): readonly LostStroke[] {
  if (value === null) return [];
  const shown = strokes.findLastIndex(({ after }) => after === value);
  const first = shown >= 0 ? shown + 1 : strokes.findIndex(({ before }) => before === value);
  return first < 0 ? [] : strokes.slice(first);
}

export async function forgetStroke(key: string): Promise<void> {
  await delMany([key, key + AFTER], journal()).catch(() => undefined);
}
