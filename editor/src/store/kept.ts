/** Open documents as the browser's database keeps them. */
import { begin, bounded, currentValue, type History } from "@/model/history";
import { ExactNumber } from "@/model/json";
import { readWorkflow, type Workflow, writeWorkflow } from "@/model/workflow";
import { currentWorkflow, type Document, USUAL_ON_CHANGE } from "./documents";

const VERSION = 1;
/** Undo steps that are kept. */
const STEPS = 50;

/** A document; the text says the same as the history's current value, in the form of files. */
export interface Kept {
  readonly version: number;
  /** The window that it is open in. */
  readonly window: string;
  readonly at: number;
  readonly text: string;
  readonly document: Document;
}

/** The documents of one window, in the order of its tabs. */
export interface KeptWindow {
  readonly documents: readonly string[];
  readonly active: string;
  readonly at: number;
}

/** What of a document changes by looking elsewhere: a small record beside the large one. */
export interface KeptView extends Pick<Document, "path" | "selection" | "viewport" | "viewports"> {
  readonly at: number;
}

export function viewOf(document: Document, at: number): KeptView {
  const { path, selection, viewport, viewports } = document;
  return { path, selection, viewport, viewports, at };
}

/** Whether two states of a document differ by no more than the view. */
export function isSameButView(a: Document, b: Document): boolean {
  const { path, selection, viewport, viewports } = b;
  const seen: Document = { ...a, path, selection, viewport, viewports };
  return (Object.keys(b) as (keyof Document)[]).every((key) => seen[key] === b[key]);
}

/** A record with the view that was kept since it was written. */
export function withView(kept: Kept, view: KeptView | undefined): Kept {
  if (view === undefined || view.at < kept.at) return kept;
  const { at: _, ...seen } = view;
  return { ...kept, document: { ...kept.document, ...seen } };
}

export function keep(document: Document, window: string, at: number): Kept {
  return {
    version: VERSION,
    window,
    at,
    text: writeWorkflow(currentWorkflow(document)),
    document: { ...document, history: bounded(document.history, STEPS) },
  };
}

/** The document of a record; with just its text where the rest can't be read any more. */
export function revive(kept: Kept): Document | null {
  return wholeDocument(kept) ?? documentOfText(kept);
}

function wholeDocument({ version, text, document }: Kept): Document | null {
  if (version !== VERSION) return null;
  try {
    const found = reviveNumbers(document);
    const isWhole =
      found.selection instanceof Set && found.viewports instanceof Map && Array.isArray(found.path);
    if (!isWhole || writeWorkflow(currentValue(found.history)) !== text) return null;
    // An editor that knew none of them may have kept it.
    const { snapshots = [], onChange = USUAL_ON_CHANGE, shared = null }: Partial<Document> = found;
    const kept = shared && { ...shared, kept: shared.kept ?? currentValue(found.history) };
    return { ...found, snapshots, onChange, shared: kept };
  } catch {
    return null;
  }
}

function documentOfText({ text, document }: Kept): Document | null {
  try {
    const history: History<Workflow> = begin(readWorkflow(text), "history.opened");
    return {
      id: document.id,
      savedName: document.savedName ?? null,
      savedEtag: document.savedEtag ?? null,
      fileHandle: null,
      // What it was when it was saved isn't known: it counts as changed.
      history: { ...history, saved: null },
      path: [],
      selection: new Set(),
      viewport: null,
      viewports: new Map(),
      origin: document.origin ?? "new",
      snapshots: [],
      onChange: document.onChange ?? USUAL_ON_CHANGE,
      shared: null,
    };
  } catch {
    return null;
  }
}

/** The database gives objects back without their class; Maps and Sets stay what they are. */
function reviveNumbers<T>(value: T): T {
  const seen = new Map<unknown, unknown>();
  const walk = (given: unknown): unknown => {
    if (typeof given !== "object" || given === null) return given;
    if (seen.has(given)) return seen.get(given);
    const found = numberOf(given) ?? given;
    seen.set(given, found);
    if (found !== given || given instanceof Set) return found;
    if (given instanceof Map) for (const [key, item] of given) given.set(key, walk(item));
    else if (Array.isArray(given)) given.splice(0, given.length, ...given.map(walk));
    else if (isPlain(given)) for (const key of Object.keys(given)) given[key] = walk(given[key]);
    return found;
  };
  walk(value);
  return value;
}

/** Not of a class of the browser's, such as the handle of a file. */
function isPlain(value: object): value is Record<string, unknown> {
  return Object.prototype.toString.call(value) === "[object Object]";
}

function numberOf(value: object): ExactNumber | null {
  const [key, ...more] = Object.keys(value);
  if (key !== "text" || more.length > 0 || value instanceof Map) return null;
  const text: unknown = Reflect.get(value, "text");
  return typeof text === "string" ? new ExactNumber(text) : null;
}
