/** Groups and notes: boxes on the canvas, and what is in them. */
import { groupItem, noteItem } from "../items";
import {
  type Box,
  changeLayout,
  type Group,
  type Layout,
  layoutOf,
  type Note,
  type Point,
  type Size,
} from "../layout";
import { freeName } from "../names";
import type { Scope } from "../scope";
import type { Workflow } from "../workflow";
import { sameBox, samePoint, wholeBox } from "./geometry";

/** The lists of a layout that hold boxes. */
export type BoxKind = "groups" | "notes";

type BoxOf<K extends BoxKind> = Layout[K][number];

/** What a node takes where its real size isn't known. */
const USUAL: Required<Size> = { width: 260, height: 160 };

export interface NewGroup {
  readonly title: string;
  readonly color?: string;
  readonly box: Box;
}

export interface NewNote {
  readonly text: string;
  readonly color?: string;
  readonly box: Box;
}

interface Made {
  readonly workflow: Workflow;
  readonly id: string;
}

export function addGroup(workflow: Workflow, scope: Scope, group: NewGroup): Made {
  const id = freeId("group", layoutOf(workflow, scope).groups);
  return added(workflow, scope, "groups", { color: "", ...group, id });
}

export function addNote(workflow: Workflow, scope: Scope, note: NewNote): Made {
  const id = freeId("note", layoutOf(workflow, scope).notes);
  return added(workflow, scope, "notes", { color: "", ...note, id });
}

function added(workflow: Workflow, scope: Scope, kind: BoxKind, item: Group | Note): Made {
  const changed = changeLayout(workflow, scope, (layout) => ({
    ...layout,
    [kind]: [...layout[kind], { ...item, box: wholeBox(item.box) }],
  }));
  return { workflow: changed, id: item.id };
}

/** Ids count up, so that the same edits give the same file. */
export function freeId(kind: string, items: readonly { readonly id: string }[]): string {
  return freeName(`${kind}_1`, new Set(items.map((item) => item.id)));
}

export function updateGroup(
  workflow: Workflow,
  scope: Scope,
  id: string,
  changes: Partial<Omit<Group, "id">>,
): Workflow {
  return changeLayout(workflow, scope, (layout) =>
    changeBox(layout, "groups", id, (group) => merged<Group>(group, changes)),
  );
}

export function updateNote(
  workflow: Workflow,
  scope: Scope,
  id: string,
  changes: Partial<Omit<Note, "id">>,
): Workflow {
  return changeLayout(workflow, scope, (layout) =>
    changeBox(layout, "notes", id, (note) => merged<Note>(note, changes)),
  );
}

function merged<T extends Group | Note>(item: T, changes: Partial<T>): T {
  const found = { ...item, ...changes };
  const box = wholeBox(found.box);
  const isSame = (Object.keys(found) as (keyof T)[]).every(
    (key) => key === "box" || found[key] === item[key],
  );
  return isSame && sameBox(box, item.box) ? item : { ...found, box };
}

export function removeGroup(workflow: Workflow, scope: Scope, id: string): Workflow {
  return removeBox(workflow, scope, "groups", id);
}

export function removeNote(workflow: Workflow, scope: Scope, id: string): Workflow {
  return removeBox(workflow, scope, "notes", id);
}

function removeBox(workflow: Workflow, scope: Scope, kind: BoxKind, id: string): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    const left = layout[kind].filter((item) => item.id !== id);
    return left.length === layout[kind].length ? layout : { ...layout, [kind]: left };
  });
}

/** Change one of the boxes; the same layout if that changes nothing. */
export function changeBox<K extends BoxKind>(
  layout: Layout,
  kind: K,
  id: string,
  change: (item: BoxOf<K>) => BoxOf<K>,
): Layout {
  const before: readonly BoxOf<K>[] = layout[kind];
  const found = before.map((item) => (item.id === id ? change(item) : item));
  const isSame = found.every((item, index) => item === before[index]);
  return isSame ? layout : { ...layout, [kind]: found };
}

export function boxAt<T extends Group | Note>(item: T, { x, y }: Point): T {
  return samePoint(item.box, { x, y }) ? item : { ...item, box: { ...item.box, x, y } };
}

/** The items whose middle is inside a group: they move with it. */
export function itemsInGroup(
  workflow: Workflow,
  scope: Scope,
  id: string,
  sizes?: ReadonlyMap<string, Size>,
): readonly string[] {
  const layout = layoutOf(workflow, scope);
  const group = layout.groups.find((item) => item.id === id);
  if (!group) return [];
  const found: string[] = [];
  for (const [name, at] of layout.positions) {
    const size = { ...USUAL, ...layout.sizes.get(name), ...sizes?.get(name) };
    if (holds(group.box, { ...at, ...size })) found.push(name);
  }
  for (const other of layout.groups) {
    if (other.id !== id && isSmaller(other.box, group.box) && holds(group.box, other.box)) {
      found.push(groupItem(other.id));
    }
  }
  for (const note of layout.notes) {
    if (holds(group.box, note.box)) found.push(noteItem(note.id));
  }
  return found;
}

function isSmaller(a: Box, b: Box): boolean {
  return a.width * a.height < b.width * b.height;
}

function holds(outer: Box, inner: Box): boolean {
  const x = inner.x + inner.width / 2 - outer.x;
  const y = inner.y + inner.height / 2 - outer.y;
  return x >= 0 && y >= 0 && x <= outer.width && y <= outer.height;
}
