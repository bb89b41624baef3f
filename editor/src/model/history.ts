/** Undo as a tree: a change after an undo opens a branch beside the old one, and nothing is lost. */

export interface Entry<T> {
  readonly id: number;
  readonly parent: number | null;
  readonly label: string;
  readonly value: T;
  /** Milliseconds since 1970, of its last change. */
  readonly at: number;
  /** Changes in a row with the same key are one step, as typing is. */
  readonly merge: string | null;
  /** Whether the label says what was done, better than what differs would. */
  readonly named?: boolean;
}

export interface History<T> {
  /** By id, oldest first; the first is the root. */
  readonly entries: ReadonlyMap<number, Entry<T>>;
  readonly current: number;
  /** The entry that was saved or opened last; null when it is gone. */
  readonly saved: number | null;
  /** Where redo leads to from an entry: the child visited last. */
  readonly ahead: ReadonlyMap<number, number>;
  readonly next: number;
}

export interface CommitOptions {
  readonly merge?: string | undefined;
  readonly at?: number;
  readonly named?: boolean;
}

export const MOST_ENTRIES = 500;
/** A pause, in milliseconds, after which typing on is a step of its own. */
const PAUSE = 2000;

export function begin<T>(value: T, label: string, at: number = Date.now()): History<T> {
  const root: Entry<T> = { id: 0, parent: null, label, value, at, merge: null };
  return { entries: new Map([[0, root]]), current: 0, saved: 0, ahead: new Map(), next: 1 };
}

export function currentEntry<T>(history: History<T>): Entry<T> {
  const entry = history.entries.get(history.current);
  if (!entry) throw new Error("the history has lost its current entry");
  return entry;
}

export function currentValue<T>(history: History<T>): T {
  return currentEntry(history).value;
}

/** Add a step after the current one; the same history if the value is the current one. */
export function commit<T>(
  history: History<T>,
  value: T,
  label: string,
  { merge, at = Date.now(), named = false }: CommitOptions = {},
): History<T> {
  const current = currentEntry(history);
  if (value === current.value) return history;
  if (merge !== undefined && canMerge(history, current, merge, at)) {
    return {
      ...history,
      entries: new Map(history.entries).set(current.id, { ...current, value, at }),
    };
  }
  const id = history.next;
  const own = { id, parent: current.id, label, value, at, merge: merge ?? null };
  const entry: Entry<T> = named ? { ...own, named } : own;
  return bounded({
    ...history,
    entries: new Map(history.entries).set(id, entry),
    current: id,
    ahead: new Map(history.ahead).set(current.id, id),
    next: id + 1,
  });
}

function canMerge<T>(history: History<T>, entry: Entry<T>, merge: string, at: number): boolean {
  if (entry.merge !== merge || history.saved === entry.id || at - entry.at > PAUSE) return false;
  return childrenOf(history, entry.id).length === 0;
}

export function childrenOf<T>(history: History<T>, id: number): readonly Entry<T>[] {
  return [...history.entries.values()].filter((entry) => entry.parent === id);
}

export function canUndo<T>(history: History<T>): boolean {
  return currentEntry(history).parent !== null;
}

export function canRedo<T>(history: History<T>): boolean {
  return redoTarget(history) !== null;
}

export function undo<T>(history: History<T>): History<T> {
  const { parent } = currentEntry(history);
  return parent === null ? history : jump(history, parent);
}

export function redo<T>(history: History<T>): History<T> {
  const target = redoTarget(history);
  return target === null ? history : jump(history, target);
}

function redoTarget<T>(history: History<T>): number | null {
  const visited = history.ahead.get(history.current);
  if (visited !== undefined && history.entries.has(visited)) return visited;
  return childrenOf(history, history.current).at(-1)?.id ?? null;
}

/** Go to any entry; redo then leads along the way to it, and beyond it as before. */
export function jump<T>(history: History<T>, id: number): History<T> {
  if (id === history.current || !history.entries.has(id)) return history;
  const ahead = new Map(history.ahead);
  for (const step of pathTo(history, id)) if (step.parent !== null) ahead.set(step.parent, step.id);
  return { ...history, current: id, ahead };
}

/** The entries from the root to one. */
export function pathTo<T>(history: History<T>, id: number): readonly Entry<T>[] {
  const path: Entry<T>[] = [];
  let entry = history.entries.get(id);
  while (entry) {
    path.push(entry);
    entry = entry.parent === null ? undefined : history.entries.get(entry.parent);
  }
  return path.reverse();
}

export function markSaved<T>(history: History<T>, id: number = history.current): History<T> {
  return { ...history, saved: id };
}

export function isChanged<T>(history: History<T>): boolean {
  const saved = history.saved === null ? undefined : history.entries.get(history.saved);
  return saved?.value !== currentValue(history);
}

/** The history with so many entries at most: old branches go first, then the oldest steps. */
export function bounded<T>(history: History<T>, most: number = MOST_ENTRIES): History<T> {
  if (history.entries.size <= most) return history;
  const entries = new Map(history.entries);
  const kept = new Set(pathTo(history, history.current).map((entry) => entry.id));
  while (entries.size > most) {
    const leaf = oldestLeaf(entries, kept);
    if (leaf !== null) entries.delete(leaf);
    else if (!dropRoot(entries, history.current)) break;
  }
  const ahead = new Map([...history.ahead].filter(([a, b]) => entries.has(a) && entries.has(b)));
  const saved = history.saved !== null && entries.has(history.saved) ? history.saved : null;
  return { ...history, entries, ahead, saved };
}

function oldestLeaf<T>(
  entries: ReadonlyMap<number, Entry<T>>,
  kept: ReadonlySet<number>,
): number | null {
  const parents = new Set([...entries.values()].map((entry) => entry.parent));
  for (const id of entries.keys()) if (!parents.has(id) && !kept.has(id)) return id;
  return null;
}

/** Make the root's only child the root. */
function dropRoot<T>(entries: Map<number, Entry<T>>, current: number): boolean {
  const [root, child] = entries.values();
  if (!root || !child || root.id === current) return false;
  entries.delete(root.id);
  entries.set(child.id, { ...child, parent: null });
  return true;
}
