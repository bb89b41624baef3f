/** Node types by category as rows of a tree, the closed parts left out. */

export interface Typed {
  readonly type: string;
  readonly label: string;
  readonly category: string;
  /** The category in the language that is shown. */
  readonly shownCategory?: string;
}

export type TreeRow<T extends Typed> =
  | {
      readonly kind: "category";
      readonly id: string;
      readonly name: string;
      readonly depth: number;
      readonly count: number;
      readonly open: boolean;
    }
  | { readonly kind: "type"; readonly id: string; readonly spec: T; readonly depth: number };

interface Branch<T> {
  readonly name: string;
  readonly folders: Map<string, Branch<T>>;
  readonly specs: T[];
}

/** Of a folder with more types than this only its name is shown at first. */
export const MANY = 50;

/**
 * Rows in order: a category's folders first, then its types, both by name.
 *
 * `toggled` are the folders that are open or closed other than they are at first.
 */
export function treeRows<T extends Typed>(
  specs: Iterable<T>,
  toggled: ReadonlySet<string>,
  other: string,
): readonly TreeRow<T>[] {
  const root: Branch<T> = { name: "", folders: new Map(), specs: [] };
  for (const spec of specs) {
    let branch = root;
    const shown = partsOf(spec.shownCategory ?? spec.category, other);
    partsOf(spec.category, other).forEach((part, depth) => {
      branch = folderOf(branch, part, shown[depth] ?? part);
    });
    branch.specs.push(spec);
  }
  const rows: TreeRow<T>[] = [];
  addRows(root, "", 0, toggled, rows);
  return rows;
}

/** The id of the folder of favourites; categories have no such sign in them. */
const FAVOURITES = "*";

/** A folder of those types that are favourites, in their own order; nothing if there are none. */
export function favouriteRows<T extends Typed>(
  specs: readonly T[],
  favourites: readonly string[],
  toggled: ReadonlySet<string>,
  name: string,
): readonly TreeRow<T>[] {
  const found = favourites.flatMap((type) => specs.find((spec) => spec.type === type) ?? []);
  if (found.length === 0) return [];
  const open = !toggled.has(FAVOURITES);
  const folder = { kind: "category", id: FAVOURITES, name, depth: 0, count: found.length, open };
  const rows = found.map((spec) => ({ kind: "type", id: `*type:${spec.type}`, spec, depth: 1 }));
  return [folder, ...(open ? rows : [])] as readonly TreeRow<T>[];
}

function partsOf(category: string, other: string): readonly string[] {
  const parts = category.split("/").filter((part) => part.trim() !== "");
  return parts.length > 0 ? parts : [other];
}

function folderOf<T>(branch: Branch<T>, key: string, name: string): Branch<T> {
  const found = branch.folders.get(key);
  if (found !== undefined) return found;
  const folder: Branch<T> = { name, folders: new Map(), specs: [] };
  branch.folders.set(key, folder);
  return folder;
}

function addRows<T extends Typed>(
  branch: Branch<T>,
  path: string,
  depth: number,
  toggled: ReadonlySet<string>,
  rows: TreeRow<T>[],
): void {
  const folders = [...branch.folders].sort(([, a], [, b]) => a.name.localeCompare(b.name));
  for (const [key, folder] of folders) {
    const id = path === "" ? key : `${path}/${key}`;
    const count = countOf(folder);
    const open = toggled.has(id) !== count <= MANY;
    rows.push({ kind: "category", id, name: titled(folder.name), depth, count, open });
    if (open) addRows(folder, id, depth + 1, toggled, rows);
  }
  const specs = branch.specs.toSorted((a, b) => a.label.localeCompare(b.label));
  for (const spec of specs) rows.push({ kind: "type", id: `type:${spec.type}`, spec, depth });
}

function countOf<T>(branch: Branch<T>): number {
  let count = branch.specs.length;
  for (const folder of branch.folders.values()) count += countOf(folder);
  return count;
}

function titled(name: string): string {
  // A first digit stands before its letter: 3D.
  return name.replace(/^\d*\p{L}/u, (start) => start.toUpperCase());
}

/** The row that the left arrow goes to from `index`: its category. */
export function parentRow<T extends Typed>(rows: readonly TreeRow<T>[], index: number): number {
  const depth = rows[index]?.depth ?? 0;
  for (let above = index - 1; above >= 0; above -= 1) {
    if ((rows[above]?.depth ?? 0) < depth) return above;
  }
  return index;
}
