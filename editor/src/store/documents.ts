/** The open workflows, each with its undo tree, and what is seen and selected of it. */
import { create, type StoreApi, type UseBoundStore } from "zustand";
import { useShallow } from "zustand/react/shallow";
import {
  begin,
  commit,
  currentValue,
  type History,
  isChanged,
  jump,
  markSaved,
  redo,
  undo,
} from "@/model/history";
import { itemOf } from "@/model/items";
import { sameJson } from "@/model/json";
import { layoutOf } from "@/model/layout";
import { nodesOf, type Scope } from "@/model/scope";
import { spreadImported } from "@/model/separate";
import type { Shared } from "@/model/shared/rebase";
import { emptyWorkflow, type Workflow } from "@/model/workflow";
import { subgraphToJson } from "@/model/workflow/writing";
import { useCatalogue } from "./catalogue";

export type Origin = "new" | "saved" | "template" | "file" | "picture" | "share" | "import";

export interface Viewport {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

export interface Document {
  readonly id: string;
  /** Its name on the server; null if it was never saved there. */
  readonly savedName: string | null;
  readonly savedEtag: string | null;
  /** The file it was opened from or saved to, where the browser gives access to files. */
  readonly fileHandle: FileSystemFileHandle | null;
  readonly history: History<Workflow>;
  /** The blocks entered, outermost first. */
  readonly path: readonly string[];
  readonly selection: ReadonlySet<string>;
  /** What is seen of the graph that is shown; null until the canvas has fitted it. */
  readonly viewport: Viewport | null;
  /** The viewports of its other graphs, by the entered path joined by "/". */
  readonly viewports: ReadonlyMap<string, Viewport>;
  readonly origin: Origin;
  /** The oldest first; kept in the browser with the document, and not in its file. */
  readonly snapshots: readonly Snapshot[];
  readonly onChange: OnChange;
  /** What is known of its draft on the server; null until it was joined. */
  readonly shared: Shared | null;
}

/** A state of the workflow that somebody gave a name, to come back to. */
export interface Snapshot {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly value: Workflow;
}

export const MOST_SNAPSHOTS = 50;

/** Whether edits are run by themselves, and up to how many seconds; null: whatever it takes. */
export interface OnChange {
  readonly on: boolean;
  readonly limit: number | null;
}

export const USUAL_ON_CHANGE: OnChange = { on: false, limit: 5 };

export interface OpenOptions {
  readonly id?: string;
  readonly savedName?: string | null;
  readonly savedEtag?: string | null;
  readonly fileHandle?: FileSystemFileHandle | null;
  readonly origin?: Origin;
  /** Take the place of the active document if that is new and untouched; true unless told. */
  readonly replaceEmpty?: boolean;
  /** Opened already under that savedName: go there instead; true unless told. */
  readonly reuse?: boolean;
}

export interface ChangeOptions {
  /** Changes in a row with the same key are one undo step. */
  readonly merge?: string | undefined;
  /** What is selected afterwards. */
  readonly select?: Iterable<string> | undefined;
  /** Another document than the active one. */
  readonly document?: string | undefined;
  /** Whether the label says what was done, better than what differs would. */
  readonly named?: boolean;
}

export type SelectMode = "replace" | "add" | "toggle" | "remove";

export interface DocumentsState {
  /** In the order of their tabs; there is always one. */
  readonly documents: readonly Document[];
  readonly active: string;
  /** Closed ones, the last one last. */
  readonly closed: readonly Document[];
  open(workflow: Workflow, options?: OpenOptions): string;
  close(id: string): void;
  closeOthers(id: string): void;
  reopenClosed(): string | null;
  activate(id: string): void;
  move(id: string, index: number): void;
  /** One undo step; nothing happens if the edit gives back the same workflow. */
  change(label: string, edit: (w: Workflow) => Workflow, options?: ChangeOptions): void;
  undo(): void;
  redo(): void;
  jump(entry: number, document?: string): void;
  /** Keep the current state under a name; of too many the oldest goes. */
  takeSnapshot(name: string): void;
  /** Make a snapshot the current state, as one undo step that is called by `label`. */
  restoreSnapshot(id: string, label: string): void;
  /** Give a document those that were kept of it elsewhere, besides its own. */
  addSnapshots(document: string, snapshots: readonly Snapshot[]): void;
  renameSnapshot(id: string, name: string): void;
  deleteSnapshot(id: string): void;
  setOnChange(choice: Partial<OnChange>, document?: string): void;
  select(items: Iterable<string>, mode?: SelectMode): void;
  enter(subgraph: string): void;
  /** Show an outer graph again: 0 is the file's own. */
  leave(depth?: number): void;
  /** Show the graph at a path, as finding does. */
  goTo(path: readonly string[], document?: string): void;
  setViewport(viewport: Viewport | null, document?: string): void;
  /** Say that a value (the current one unless told) is what is saved. */
  markSaved(
    id: string,
    saved: {
      readonly name?: string | null;
      readonly etag?: string | null;
      readonly fileHandle?: FileSystemFileHandle | null;
      readonly entry?: number;
    },
  ): void;
  /** Take in what the draft on the server says; `history` with it worked in. */
  setShared(id: string, shared: Shared | null, history?: History<Workflow>): void;
  /** Give a document another id, as another window has one of this id too. */
  reidentify(id: string, next: string): void;
  /** Replace everything, as recovery does. */
  restore(documents: readonly Document[], active: string | null): void;
}

const MOST_CLOSED = 20;

export function newDocument(workflow: Workflow, options: OpenOptions = {}): Document {
  return {
    id: options.id ?? newId(),
    savedName: options.savedName ?? null,
    savedEtag: options.savedEtag ?? null,
    fileHandle: options.fileHandle ?? null,
    history: begin(workflow, "history.opened"),
    path: [],
    selection: new Set(),
    viewport: null,
    viewports: new Map(),
    origin: options.origin ?? "new",
    snapshots: [],
    onChange: USUAL_ON_CHANGE,
    shared: null,
  };
}

/** A new id; crypto.randomUUID is missing where the page comes by plain HTTP. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}

export type DocumentsStore = UseBoundStore<StoreApi<DocumentsState>>;

export function createDocuments(): DocumentsStore {
  return create<DocumentsState>()((set, get) => {
    const first = newDocument(emptyWorkflow());

    const update = (id: string, next: (document: Document) => Document): void => {
      set(({ documents }) => {
        let changed = false;
        const found = documents.map((document) => {
          if (document.id !== id) return document;
          const after = next(document);
          changed ||= after !== document;
          return after;
        });
        return changed ? { documents: found } : {};
      });
    };
    const updateActive = (next: (document: Document) => Document): void =>
      update(get().active, next);

    const changeSnapshots = (change: (all: readonly Snapshot[]) => readonly Snapshot[]): void =>
      updateActive((document) => ({ ...document, snapshots: change(document.snapshots) }));

    const travel = (
      step: (history: History<Workflow>) => History<Workflow>,
      id = get().active,
    ): void => update(id, (document) => withHistory(document, step(document.history)));

    return {
      documents: [first],
      active: first.id,
      closed: [],

      open(workflow, options = {}) {
        const { documents, active } = get();
        const known = openedAs(documents, options);
        if (known) {
          set({ active: known.id });
          return known.id;
        }
        const { types } = useCatalogue.getState();
        const document = newDocument(spreadImported(workflow, types), options);
        const shown = documents.find((item) => item.id === active);
        const takesPlace = options.replaceEmpty !== false && shown && isUntouched(shown);
        set({
          documents: takesPlace
            ? documents.map((item) => (item === shown ? document : item))
            : [...documents, document],
          active: document.id,
        });
        return document.id;
      },

      close(id) {
        const { documents, active, closed } = get();
        const index = documents.findIndex((document) => document.id === id);
        const document = documents[index];
        if (!document) return;
        const left = documents.filter((item) => item !== document);
        const rest = left.length > 0 ? left : [newDocument(emptyWorkflow())];
        const next = rest[Math.min(index, rest.length - 1)];
        set({
          documents: rest,
          active: active === id && next ? next.id : active,
          closed: isUntouched(document) ? closed : [...closed, document].slice(-MOST_CLOSED),
        });
      },

      closeOthers(id) {
        for (const document of get().documents) if (document.id !== id) get().close(document.id);
      },

      reopenClosed() {
        const { documents, closed } = get();
        const document = closed.at(-1);
        if (!document) return null;
        const kept = documents.filter((item) => !isUntouched(item));
        set({
          documents: [...kept, document],
          active: document.id,
          closed: closed.slice(0, -1),
        });
        return document.id;
      },

      activate(id) {
        if (get().documents.some((document) => document.id === id)) set({ active: id });
      },

      move(id, index) {
        const { documents } = get();
        const document = documents.find((item) => item.id === id);
        if (!document) return;
        const left = documents.filter((item) => item !== document);
        set({ documents: left.toSpliced(index, 0, document) });
      },

      change(label, edit, { merge, select, document: id = get().active, named = false } = {}) {
        update(id, (document) => {
          const workflow = edit(currentWorkflow(document));
          const history = commit(document.history, workflow, label, { merge, named });
          const changed = withHistory(document, history);
          return select ? withSelection(changed, new Set(select)) : changed;
        });
      },

      undo: () => travel(undo),
      redo: () => travel(redo),
      jump: (entry, id) => travel((history) => jump(history, entry), id),

      takeSnapshot(name) {
        updateActive((document) => {
          const value = currentWorkflow(document);
          const taken = { id: newId(), name, at: Date.now(), value };
          return { ...document, snapshots: [...document.snapshots, taken].slice(-MOST_SNAPSHOTS) };
        });
      },

      restoreSnapshot(id, label) {
        updateActive((document) => {
          const found = document.snapshots.find((each) => each.id === id);
          if (found === undefined) return document;
          const restored = commit(document.history, found.value, label, { named: true });
          return withHistory(document, restored);
        });
      },

      addSnapshots(id, snapshots) {
        update(id, (document) => {
          const own = new Set(document.snapshots.map((each) => each.id));
          const added = snapshots.filter((each) => !own.has(each.id));
          if (added.length === 0) return document;
          const all = [...added, ...document.snapshots].sort((a, b) => a.at - b.at);
          return { ...document, snapshots: all.slice(-MOST_SNAPSHOTS) };
        });
      },

      renameSnapshot: (id, name) =>
        changeSnapshots((all) => all.map((each) => (each.id === id ? { ...each, name } : each))),
      deleteSnapshot: (id) => changeSnapshots((all) => all.filter((each) => each.id !== id)),

      setOnChange: (choice, id = get().active) =>
        update(id, (document) => ({
          ...document,
          onChange: { ...document.onChange, ...choice },
        })),

      select(items, mode = "replace") {
        updateActive((document) =>
          withSelection(document, combined(document.selection, items, mode)),
        );
      },

      enter(subgraph) {
        updateActive((document) =>
          currentWorkflow(document).subgraphs.has(subgraph)
            ? withPath(document, [...document.path, subgraph])
            : document,
        );
      },

      leave(depth) {
        updateActive((document) =>
          withPath(
            document,
            document.path.slice(0, depth ?? Math.max(0, document.path.length - 1)),
          ),
        );
      },

      goTo(path, id = get().active) {
        set({ active: id });
        update(id, (document) => withPath(document, path));
      },

      setViewport(viewport, id = get().active) {
        update(id, (document) => ({ ...document, viewport }));
      },

      markSaved(id, { name, etag, fileHandle, entry }) {
        update(id, (document) => ({
          ...document,
          history: markSaved(document.history, entry ?? document.history.current),
          savedName: name === undefined ? document.savedName : name,
          // Under another name it has another draft.
          shared: name === undefined || name === document.savedName ? document.shared : null,
          savedEtag: etag === undefined ? document.savedEtag : etag,
          fileHandle: fileHandle === undefined ? document.fileHandle : fileHandle,
          origin: name ? "saved" : fileHandle ? "file" : document.origin,
        }));
      },

      setShared(id, shared, history) {
        update(id, (document) => {
          const found = history ? withHistory(document, history) : document;
          return found.shared === shared ? found : { ...found, shared };
        });
      },

      reidentify(id, next) {
        update(id, (document) => {
          const shared = document.savedName === null ? null : document.shared;
          return { ...document, id: next, shared };
        });
        if (get().active === id) set({ active: next });
      },

      restore(documents, active) {
        const found = documents.length > 0 ? documents : [newDocument(emptyWorkflow())];
        const shown = found.find((document) => document.id === active) ?? found[0];
        if (shown) set({ documents: found, active: shown.id });
      },
    };
  });
}

export const useDocuments: DocumentsStore = createDocuments();

// What was opened before the node types were there, and is as it was opened.
useCatalogue.subscribe(({ types }, before) => {
  if (types === null || before.types !== null) return;
  useDocuments.setState(({ documents }) => ({
    documents: documents.map((document) => {
      const opened = currentWorkflow(document);
      const spread = spreadImported(opened, types);
      if (spread === opened || document.history.entries.size > 1) return document;
      return { ...document, history: begin(spread, "history.opened") };
    }),
  }));
});

function openedAs(documents: readonly Document[], options: OpenOptions): Document | undefined {
  const { savedName, reuse = true } = options;
  return reuse && savedName
    ? documents.find((document) => document.savedName === savedName)
    : undefined;
}

/** A new document in which nothing was ever done. */
export function isUntouched(document: Document): boolean {
  const { origin, history } = document;
  if (origin !== "new" || history.entries.size > 1) return false;
  return currentValue(history).nodes.size === 0;
}

function withHistory(document: Document, history: History<Workflow>): Document {
  if (history === document.history) return document;
  const before = currentWorkflow(document);
  const after = currentValue(history);
  const path = followedPath(document.path, before, after);
  const moved = withPath(document, path);
  return withSelection({ ...moved, history }, existing(moved.selection, after, scopeOf(path)));
}

/** The same blocks under their new names, as far as they are there still. */
function followedPath(
  path: readonly string[],
  before: Workflow,
  after: Workflow,
): readonly string[] {
  if (path.every((name) => after.subgraphs.has(name))) return path;
  const found: string[] = [];
  for (const name of path) {
    const now = after.subgraphs.has(name) ? name : renamed(before, after, name);
    if (now === null) break;
    found.push(now);
  }
  return found;
}

function renamed(before: Workflow, after: Workflow, name: string): string | null {
  const block = before.subgraphs.get(name);
  if (block === undefined) return null;
  const added = [...after.subgraphs].filter(([other]) => !before.subgraphs.has(other));
  const same =
    added.find(([, other]) => other.nodes === block.nodes) ??
    // From another window it comes as one block that goes and one that is there instead.
    added.find(([, other]) => sameJson(subgraphToJson(other), subgraphToJson(block)));
  return same?.[0] ?? null;
}

function withPath(document: Document, path: readonly string[]): Document {
  const [from, to] = [document.path.join("/"), path.join("/")];
  if (from === to) return document;
  const viewports = new Map(document.viewports);
  if (document.viewport) viewports.set(from, document.viewport);
  return {
    ...document,
    path,
    selection: new Set(),
    viewport: viewports.get(to) ?? null,
    viewports,
  };
}

function withSelection(document: Document, selection: ReadonlySet<string>): Document {
  const before = document.selection;
  const isSame = before.size === selection.size && [...selection].every((id) => before.has(id));
  return isSame ? document : { ...document, selection };
}

function combined(
  before: ReadonlySet<string>,
  items: Iterable<string>,
  mode: SelectMode,
): ReadonlySet<string> {
  if (mode === "replace") return new Set(items);
  const found = new Set(before);
  for (const id of items) {
    if (mode === "remove" || (mode === "toggle" && before.has(id))) found.delete(id);
    else found.add(id);
  }
  return found;
}

function existing(
  selection: ReadonlySet<string>,
  workflow: Workflow,
  scope: Scope,
): ReadonlySet<string> {
  const nodes = nodesOf(workflow, scope);
  const layout = layoutOf(workflow, scope);
  return new Set(
    [...selection].filter((id) => {
      const item = itemOf(id);
      if (item.kind === "node") return nodes.has(item.name);
      if (item.kind === "group") return layout.groups.some((group) => group.id === item.id);
      if (item.kind === "note") return layout.notes.some((note) => note.id === item.id);
      if (item.kind === "reroute")
        return layout.reroutes.get(item.edge)?.[item.index] !== undefined;
      return true;
    }),
  );
}

// Reading

export function currentWorkflow(document: Document): Workflow {
  return currentValue(document.history);
}

function scopeOf(path: readonly string[]): Scope {
  return path.at(-1) ?? null;
}

/** The graph of a document that is shown. */
export function currentScope(document: Document): Scope {
  return scopeOf(document.path);
}

/** Whether it holds changes that aren't saved. */
export function isDirty(document: Document): boolean {
  return isChanged(document.history);
}

export function documentById(id: string): Document | null {
  return useDocuments.getState().documents.find((document) => document.id === id) ?? null;
}

export function activeDocument(state: DocumentsState = useDocuments.getState()): Document {
  const found = state.documents.find((document) => document.id === state.active);
  if (!found) throw new Error("no document is active");
  return found;
}

/** Something of the active document; shallowly equal results don't render anew. */
export function useActive<T>(
  selector: (document: Document, workflow: Workflow, scope: Scope) => T,
): T {
  return useDocuments(
    useShallow((state) => {
      const document = activeDocument(state);
      return selector(document, currentWorkflow(document), currentScope(document));
    }),
  );
}
