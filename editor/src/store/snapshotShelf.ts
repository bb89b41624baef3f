/** Snapshots of saved workflows that aren't open, by the names under which they are saved. */
import { del, get, keys, type UseStore, update } from "idb-keyval";
import { readWorkflow, writeWorkflow } from "@/model/workflow";
import { MOST_SNAPSHOTS, type Snapshot } from "./documents";

/** As the browser's database keeps one: a workflow in the form of files. */
interface Shelved extends Omit<Snapshot, "value"> {
  readonly text: string;
}

interface Shelf {
  readonly snapshots: readonly Shelved[];
}

const PREFIX = "snapshots/";

const shelfKey = (name: string): string => PREFIX + name;

export function isShelfKey(key: string): boolean {
  return key.startsWith(PREFIX);
}

/** Those of a name, the oldest first; what can't be read any more is left out. */
export async function shelvedSnapshots(store: UseStore, name: string): Promise<Snapshot[]> {
  const shelf = await get<Shelf>(shelfKey(name), store);
  return (shelf?.snapshots ?? []).flatMap(({ text, ...rest }) => {
    try {
      return [{ ...rest, value: readWorkflow(text) }];
    } catch {
      return [];
    }
  });
}

/** Add snapshots to those of a name, as another window may have added some, and take some out. */
export async function shelve(
  store: UseStore,
  name: string,
  { added = [], removed = [] }: { added?: readonly Snapshot[]; removed?: readonly string[] },
): Promise<void> {
  if (added.length === 0 && removed.length === 0) return;
  let isEmpty = false;
  await update<Shelf>(
    shelfKey(name),
    (shelf) => {
      const gone = new Set([...removed, ...added.map(({ id }) => id)]);
      const others = (shelf?.snapshots ?? []).filter(({ id }) => !gone.has(id));
      const all = [...others, ...added.map(shelvedOf)].sort((a, b) => a.at - b.at);
      isEmpty = all.length === 0;
      return { snapshots: all.slice(-MOST_SNAPSHOTS) };
    },
    store,
  );
  if (isEmpty) await emptyShelf(store, name);
}

function shelvedOf({ value, ...rest }: Snapshot): Shelved {
  return { ...rest, text: writeWorkflow(value) };
}

export async function emptyShelf(store: UseStore, name: string): Promise<void> {
  await del(shelfKey(name), store);
}

export async function emptyShelves(store: UseStore): Promise<void> {
  const found = (await keys<string>(store)).filter(isShelfKey);
  await Promise.all(found.map((key) => del(key, store)));
}
