/**
 * Every change is kept in the browser within half a second, and there again at the next start.
 *
 * Each document is a record of its own and belongs to one window. A window that starts takes over
 * the documents of windows that are gone, be it closed or crashed, and never those of another one.
 */
import { createStore, del, entries, get, set, type UseStore, update } from "idb-keyval";
import { create } from "zustand";
import { ownName } from "@/api/rootPath";
import { type Document, type DocumentsStore, isUntouched, newId, useDocuments } from "./documents";
import {
  isSameButView,
  type Kept,
  type KeptView,
  type KeptWindow,
  keep,
  revive,
  viewOf,
  withView,
} from "./kept";
import { browserPresence, type Presence } from "./presence";
import { useSettings } from "./settings";
import { emptyShelf, emptyShelves, shelve, shelvedSnapshots } from "./snapshotShelf";

export interface AutosaveState {
  /** "off" where it is switched off, or the browser keeps nothing (private windows, full disk). */
  readonly state: "starting" | "saved" | "saving" | "off";
  /** Documents that came from an earlier window that was closed or crashed. */
  readonly recovered: readonly string[];
  /** Saved names that are open in other windows of this browser. */
  readonly elsewhere: ReadonlySet<string>;
}

export const useAutosave = create<AutosaveState>()(() => ({
  state: "starting",
  recovered: [],
  elsewhere: new Set<string>(),
}));

/** Whether a saved workflow is open in another window of this browser. */
export function isOpenElsewhere(name: string): boolean {
  return useAutosave.getState().elsewhere.has(name);
}

/** Milliseconds from a change to its record, and from a mere look elsewhere to its. */
const SOON = 200;
const LATER = 1500;
const LONGEST_START = 1500;

const documentKey = (id: string): string => `document/${id}`;
const viewKey = (id: string): string => `view/${id}`;
const WINDOW_PREFIX = "window/";
const windowKey = (id: string): string => WINDOW_PREFIX + id;

export interface KeeperOptions {
  readonly documents: DocumentsStore;
  readonly presence: Presence;
  readonly store: UseStore;
  /** The id that this window had before a reload. */
  readonly window: string | null;
  readonly now: () => number;
  readonly onState?: (state: AutosaveState["state"]) => void;
}

/** Keeps the documents of one window. */
export class Keeper {
  private window = "";
  private readonly kept = new Map<string, Document>();
  /** Documents that have the snapshots that were kept of them while they were closed. */
  private readonly known = new Set<string>();
  private keptTabs = "";
  private timer: { readonly id: ReturnType<typeof setTimeout>; readonly due: number } | null = null;
  private writing: Promise<void> = Promise.resolve();
  private stopListening = (): void => undefined;

  constructor(private readonly options: KeeperOptions) {}

  /** Bring back what was open; gives the window's id and the documents taken over. */
  async start(): Promise<{ readonly window: string; readonly recovered: readonly string[] }> {
    const { documents, presence, window } = this.options;
    this.window = window !== null && (await presence.claim(window)) ? window : newId();
    if (this.window !== window) await presence.claim(this.window);
    const found = await this.recover();
    if (found.documents.length > 0) {
      const opened = documents.getState().documents.filter((item) => !isUntouched(item));
      const active = opened.length > 0 ? documents.getState().active : found.active;
      documents.getState().restore([...found.documents, ...opened], active);
    }
    this.stopListening = documents.subscribe((state, before) => {
      if (state.documents !== before.documents || state.active !== before.active) this.changed();
    });
    this.changed();
    return { window: this.window, recovered: found.recovered };
  }

  stop(): void {
    this.stopListening();
    if (this.timer) clearTimeout(this.timer.id);
    this.timer = null;
    this.options.presence.release();
  }

  private async recover(): Promise<{
    documents: readonly Document[];
    active: string | null;
    recovered: readonly string[];
  }> {
    const { presence, store } = this.options;
    const alive = await presence.alive();
    const isGone = (id: string): boolean => id === this.window || !alive.has(id);
    const records = new Map(await entries<string, unknown>(store));
    const windows = new Map<string, KeptWindow>();
    const left: Kept[] = [];
    for (const [key, record] of records) {
      if (key.startsWith(WINDOW_PREFIX)) {
        const id = key.slice(WINDOW_PREFIX.length);
        if (isGone(id)) windows.set(id, record as KeptWindow);
      } else if (key.startsWith(documentKey(""))) {
        const kept = record as Kept;
        const view = records.get(viewKey(kept.document.id)) as KeptView | undefined;
        if (isGone(kept.window)) left.push(withView(kept, view));
      }
    }
    const documents: Document[] = [];
    for (const record of this.inOrder(left, windows)) {
      const document = await this.takeOver(record);
      if (document) documents.push(document);
    }
    for (const id of windows.keys()) if (id !== this.window) await del(windowKey(id), store);
    const latest = [...windows.values()].sort((a, b) => b.at - a.at)[0];
    return {
      documents,
      active: (windows.get(this.window) ?? latest)?.active ?? null,
      recovered: left.filter((item) => item.window !== this.window).map((item) => item.document.id),
    };
  }

  /** This window's own first, each window's in the order of its tabs. */
  private inOrder(
    records: readonly Kept[],
    windows: ReadonlyMap<string, KeptWindow>,
  ): readonly Kept[] {
    const rank = ({ window, document }: Kept): readonly [number, number] => {
      const known = windows.get(window);
      const place = known?.documents.indexOf(document.id) ?? -1;
      return [
        window === this.window ? -1 : (known?.at ?? Number.MAX_SAFE_INTEGER),
        place < 0 ? Number.MAX_SAFE_INTEGER : place,
      ];
    };
    return [...records].sort((a, b) => {
      const [[windowA, placeA], [windowB, placeB]] = [rank(a), rank(b)];
      return windowA - windowB || placeA - placeB || a.at - b.at;
    });
  }

  private async takeOver({ window: from, document: seen }: Kept): Promise<Document | null> {
    const { id } = seen;
    let taken: Kept | undefined;
    // In one transaction: two windows that start at once don't both get it.
    await update<Kept | undefined>(
      documentKey(id),
      (kept) => {
        taken = kept?.window === from ? { ...kept, window: this.window } : undefined;
        return taken ?? kept;
      },
      this.options.store,
    );
    const document = taken ? revive(withView(taken, viewOf(seen, taken.at))) : null;
    if (document) this.kept.set(id, document);
    this.known.add(id);
    return document;
  }

  private changed(): void {
    this.fetchSnapshots();
    const isUrgent = this.pending().some((document) => {
      const kept = this.kept.get(document.id);
      return kept === undefined || !isSameButView(kept, document);
    });
    this.schedule(isUrgent || this.closed().length > 0 ? SOON : LATER);
  }

  /** A saved workflow that is opened gets back the snapshots that it had. */
  private fetchSnapshots(): void {
    const { documents, addSnapshots } = this.options.documents.getState();
    for (const { id, savedName } of documents) {
      if (this.known.has(id)) continue;
      this.known.add(id);
      if (savedName === null) continue;
      // A browser that keeps nothing has none.
      shelvedSnapshots(this.options.store, savedName).then(
        (found) => addSnapshots(id, found),
        () => undefined,
      );
    }
  }

  private schedule(wait: number): void {
    const due = this.options.now() + wait;
    if (this.timer && this.timer.due <= due) return;
    if (this.timer) clearTimeout(this.timer.id);
    this.timer = { id: setTimeout(() => void this.save(), wait), due };
  }

  private pending(): readonly Document[] {
    const { documents } = this.options.documents.getState();
    return documents.filter((item) => !isUntouched(item) && this.kept.get(item.id) !== item);
  }

  private closed(): readonly string[] {
    const there = new Set(this.options.documents.getState().documents.map((item) => item.id));
    return [...this.kept.keys()].filter((id) => !there.has(id));
  }

  /** Write what changed, one after the other. */
  save(): Promise<void> {
    if (this.timer) clearTimeout(this.timer.id);
    this.timer = null;
    this.writing = this.writing.then(() => this.write());
    return this.writing;
  }

  private async write(): Promise<void> {
    const say = this.options.onState ?? (() => undefined);
    say("saving");
    try {
      for (const document of this.pending()) await this.writeDocument(document);
      await this.writeTabs();
      for (const id of this.closed()) {
        await this.shelveClosed(id);
        await this.forget(id);
      }
      say("saved");
    } catch {
      // Private windows and full disks refuse; editing goes on, and the next change tries again.
      say("off");
    }
  }

  private async writeDocument(document: Document): Promise<void> {
    const before = this.kept.get(document.id);
    if (before !== undefined && isSameButView(before, document)) {
      // The whole of a large document would be read and written each time that somebody scrolls.
      await set(viewKey(document.id), viewOf(document, this.options.now()), this.options.store);
      this.kept.set(document.id, document);
      return;
    }
    await this.unshelve(before, document);
    const record = keep(document, this.window, this.options.now());
    let isTaken = false;
    await update<Kept>(
      documentKey(document.id),
      (kept) => {
        isTaken = kept !== undefined && kept.window !== this.window;
        return isTaken && kept ? kept : record;
      },
      this.options.store,
    );
    if (isTaken) this.part(document);
    else this.kept.set(document.id, document);
  }

  /** What was deleted of a document's snapshots doesn't come back with its name. */
  private async unshelve(before: Document | undefined, document: Document): Promise<void> {
    if (before === undefined || document.savedName === null) return;
    if (before.snapshots === document.snapshots) return;
    const left = new Set(document.snapshots.map(({ id }) => id));
    const removed = before.snapshots.flatMap(({ id }) => (left.has(id) ? [] : [id]));
    await shelve(this.options.store, document.savedName, { removed });
  }

  /** Another window has this document as well: from here on they are two. */
  private part(document: Document): void {
    const next = newId();
    this.kept.delete(document.id);
    this.known.add(next);
    this.options.documents.getState().reidentify(document.id, next);
    this.schedule(0);
  }

  private async writeTabs(): Promise<void> {
    const { documents, active } = this.options.documents.getState();
    const ids = documents.filter((item) => !isUntouched(item)).map((item) => item.id);
    const text = JSON.stringify([ids, active]);
    if (text === this.keptTabs) return;
    const tabs: KeptWindow = { documents: ids, active, at: this.options.now() };
    if (ids.length === 0) await del(windowKey(this.window), this.options.store);
    else await set(windowKey(this.window), tabs, this.options.store);
    this.keptTabs = text;
  }

  /** Snapshots of a saved workflow outlive its tab. */
  private async shelveClosed(id: string): Promise<void> {
    const { closed } = this.options.documents.getState();
    const before = this.kept.get(id);
    const document = closed.findLast((each) => each.id === id) ?? before;
    if (document === undefined || document.savedName === null) return;
    await this.unshelve(before, document);
    await shelve(this.options.store, document.savedName, { added: document.snapshots });
  }

  private async forget(id: string): Promise<void> {
    const kept = await get<Kept>(documentKey(id), this.options.store);
    if (kept?.window === this.window) {
      await del(documentKey(id), this.options.store);
      await del(viewKey(id), this.options.store);
    }
    this.kept.delete(id);
  }

  async forgetSnapshots(name: string): Promise<void> {
    await emptyShelf(this.options.store, name).catch(() => undefined);
  }

  /** Forget everything of this window, as autosave was switched off. */
  async clear(): Promise<void> {
    await this.writing;
    for (const id of [...this.kept.keys()]) await this.forget(id);
    await emptyShelves(this.options.store);
    await del(windowKey(this.window), this.options.store);
    this.keptTabs = "";
  }
}

// The page's own

interface Running {
  readonly keeper: Keeper;
  readonly end: () => void;
}

let running: Running | null = null;

/** Bring back the documents of last time and keep them from now on; gives what ends it. */
export async function startAutosave(): Promise<() => void> {
  const unfollow = useSettings.subscribe(({ autosave }, before) => {
    if (autosave === before.autosave) return;
    if (autosave) void begin();
    else void forgetAll();
  });
  if (useSettings.getState().autosave) await begin();
  else useAutosave.setState({ state: "off" });
  return () => {
    unfollow();
    running?.end();
    running = null;
  };
}

async function forgetAll(): Promise<void> {
  const last = running;
  running = null;
  useAutosave.setState({ state: "off" });
  last?.end();
  await last?.keeper.clear();
}

async function begin(): Promise<void> {
  if (running) return;
  const keeper = new Keeper({
    documents: useDocuments,
    presence: browserPresence(),
    store: createStore(ownName("nodegraph"), "documents"),
    window: readWindow(),
    now: Date.now,
    onState: (state) => useAutosave.setState({ state }),
  });
  const hidden = (): void => void keeper.save();
  const quiet = tellOthers();
  const end = (): void => {
    removeEventListener("pagehide", hidden);
    document.removeEventListener("visibilitychange", hidden);
    quiet();
    keeper.stop();
  };
  running = { keeper, end };
  addEventListener("pagehide", hidden);
  document.addEventListener("visibilitychange", hidden);
  // A database that doesn't answer must not keep the page from being drawn.
  await Promise.race([start(keeper), new Promise((resolve) => setTimeout(resolve, LONGEST_START))]);
}

async function start(keeper: Keeper): Promise<void> {
  try {
    const { window: id, recovered } = await keeper.start();
    rememberWindow(id);
    useAutosave.setState({ state: "saved", recovered });
  } catch {
    useAutosave.setState({ state: "off" });
  }
}

/** Save everything now. */
export async function saveNow(): Promise<void> {
  await running?.keeper.save();
}

/** A workflow was deleted: one that gets its name later is another. */
export async function forgetSnapshots(name: string): Promise<void> {
  await running?.keeper.forgetSnapshots(name);
}

const WINDOW = "nodegraph.window";

function readWindow(): string | null {
  try {
    return sessionStorage.getItem(ownName(WINDOW));
  } catch {
    return null;
  }
}

function rememberWindow(id: string): void {
  try {
    sessionStorage.setItem(ownName(WINDOW), id);
  } catch {
    // Without it a reload counts as a window that was closed, whose documents are taken over.
  }
}

// What is open in other windows

interface Told {
  readonly window: string;
  /** Saved names; null when the window goes. */
  readonly names: readonly string[] | null;
  /** Asks the others to tell theirs. */
  readonly asks: boolean;
}

/** Tell other windows what is open here, and hear what is open there. */
function tellOthers(): () => void {
  if (typeof BroadcastChannel === "undefined") return () => undefined;
  const channel = new BroadcastChannel(ownName("nodegraph.documents"));
  const self = newId();
  const others = new Map<string, readonly string[]>();
  let last = "";
  const tell = (asks: boolean): void => {
    const names = openNames();
    last = names.join("\n");
    channel.postMessage({ window: self, names, asks } satisfies Told);
  };
  channel.onmessage = ({ data }: MessageEvent<Told>) => {
    if (data.names === null) others.delete(data.window);
    else others.set(data.window, data.names);
    useAutosave.setState({ elsewhere: new Set([...others.values()].flat()) });
    if (data.asks) tell(false);
  };
  const stop = useDocuments.subscribe(() => {
    if (openNames().join("\n") !== last) tell(false);
  });
  const leave = (): void =>
    channel.postMessage({ window: self, names: null, asks: false } satisfies Told);
  addEventListener("pagehide", leave);
  tell(true);
  return () => {
    stop();
    removeEventListener("pagehide", leave);
    leave();
    channel.close();
  };
}

function openNames(): readonly string[] {
  return useDocuments
    .getState()
    .documents.flatMap(({ savedName }) => (savedName === null ? [] : [savedName]));
}
