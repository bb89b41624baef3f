/** Random edits of canvases, one after the other, against a list of layers that is edited alike. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { addReroute, moveItems, renameNode } from "../edits";
import { expectSound, PICTURE, PLACE, SIZE, types, upload } from "../fixtures/canvas";
import { edgesOf } from "../graph";
import { begin, commit, currentValue, undo } from "../history";
import { emptyWorkflow, type Workflow, writeWorkflow } from "../workflow";
import {
  acceptResult,
  addLayer,
  duplicateLayer,
  groupLayers,
  isLayer,
  type LayerKind,
  moveLayer,
  type PaintCanvas,
  type PaintEntry,
  readCanvas,
  removeLayer,
  setBox,
  setLayer,
  setPicture,
  startCanvas,
  ungroup,
} from ".";

interface Item {
  readonly node: string;
  readonly title: string;
  readonly opacity: number;
  readonly visible: boolean;
  readonly value: string | null;
  readonly members: readonly Item[] | null;
}

interface Row {
  readonly kind: LayerKind;
  readonly items: readonly Item[];
}

interface State {
  readonly workflow: Workflow;
  /** The chains, in the order in which they were made. */
  readonly rows: readonly Row[];
}

/** Numbers by which an edit chooses what it edits, and how. */
type Picks = readonly [number, number, number];

function ground(workflow: Workflow) {
  return { workflow, scope: null, types };
}

function canvasOf({ workflow }: Pick<State, "workflow">): PaintCanvas {
  const canvas = readCanvas(workflow, null, types);
  if (canvas === null) throw new Error("the canvas is gone");
  return canvas;
}

function all(items: readonly Item[]): readonly Item[] {
  return items.flatMap((item) => [...all(item.members ?? []), item]);
}

function mapped(
  items: readonly Item[],
  change: (items: readonly Item[], parent: string | null) => readonly Item[],
  parent: string | null = null,
): readonly Item[] {
  const inner = items.map((item) =>
    item.members ? { ...item, members: mapped(item.members, change, item.node) } : item,
  );
  // Groups can't be empty, and chains neither.
  return change(inner, parent).filter(({ members }) => members?.length !== 0);
}

function inRows(
  { rows }: State,
  change: (items: readonly Item[], parent: string | null, row: Row) => readonly Item[],
): readonly Row[] {
  return rows
    .map((row) => ({
      ...row,
      items: mapped(row.items, (items, parent) => change(items, parent, row)),
    }))
    .filter(({ items }) => items.length > 0);
}

function pick<T>(items: readonly T[], number: number): T | undefined {
  return items[number % Math.max(1, items.length)];
}

function picked({ rows }: State, number: number): { row: Row; item: Item } | undefined {
  return pick(
    rows.flatMap((row) => all(row.items).map((item) => ({ row, item }))),
    number,
  );
}

const NEW = { opacity: 1, visible: true, members: null };
const KINDS = ["raster", "raster", "mask", "mask", "control", "region"] as const;

function added(state: State, [a, b]: Picks): State {
  const kind = pick(KINDS, a) ?? "raster";
  const title = `layer ${a}`;
  const above = picked(state, b);
  const isAbove = above?.row.kind === kind && b % 3 === 0;
  const made = addLayer(ground(state.workflow), canvasOf(state), kind, {
    value: upload("b"),
    placement: PLACE,
    title,
    ...(isAbove ? { above: above.item.node } : {}),
  });
  const node = made.node ?? "";
  expect(node).not.toBe("");
  const item = { ...NEW, node, title, value: upload("b") };
  if (isAbove) {
    const put = (items: readonly Item[]) =>
      items.flatMap((each) => (each.node === above.item.node ? [each, item] : [each]));
    return { workflow: made.workflow, rows: inRows(state, put) };
  }
  const own = kind === "raster" || kind === "mask";
  if (!own || !state.rows.some((row) => row.kind === kind))
    return { workflow: made.workflow, rows: [...state.rows, { kind, items: [item] }] };
  return { workflow: made.workflow, rows: onTop(state, kind, item) };
}

function onTop(state: State, kind: LayerKind, item: Item): readonly Row[] {
  return inRows(state, (items, parent, row) =>
    parent === null && row.kind === kind ? [...items, item] : items,
  );
}

function removed(state: State, [a]: Picks): State {
  const node = picked(state, a)?.item.node ?? "";
  const workflow = removeLayer(ground(state.workflow), canvasOf(state), node);
  const rows = inRows(state, (items) => items.filter((item) => item.node !== node));
  return { workflow, rows };
}

function moved(state: State, [a, b, c]: Picks): State {
  const found = picked(state, a);
  if (!found) return state;
  const { item, row } = found;
  const groups = all(row.items).filter(({ members }) => members !== null);
  const parent = pick([null, ...groups.map(({ node }) => node)], b) ?? null;
  const index = c % 5;
  const at = { index, parent };
  const workflow = moveLayer(ground(state.workflow), canvasOf(state), item.node, at);
  const isInside = parent === item.node || all(item.members ?? []).some((e) => e.node === parent);
  if (isInside) {
    expect(workflow).toBe(state.workflow);
    return state;
  }
  const without = (items: readonly Item[]) => items.filter((each) => each.node !== item.node);
  const put = (items: readonly Item[], of: string | null, own: Row) =>
    of === parent && own.items === row.items
      ? without(items).toSpliced(index, 0, item)
      : without(items);
  return { workflow, rows: inRows(state, put) };
}

function grouped(state: State, [a, b, c]: Picks): State {
  const found = picked(state, a);
  const row = found?.row;
  const siblings = row && siblingsOf(row.items, found.item.node);
  if (!siblings) return state;
  const from = b % siblings.length;
  const chosen = siblings.slice(from, from + 1 + (c % 3));
  const nodes = chosen.map(({ node }) => node);
  const made = groupLayers(ground(state.workflow), canvasOf(state), nodes.toReversed(), "group");
  const group = { ...NEW, node: made.node ?? "", title: "group", value: null, members: chosen };
  const rows = inRows(state, (items) =>
    items.some(({ node }) => node === nodes[0])
      ? [...items.slice(0, from), group, ...items.slice(from + chosen.length)]
      : items,
  );
  return { workflow: made.workflow, rows };
}

function siblingsOf(items: readonly Item[], node: string): readonly Item[] | null {
  if (items.some((item) => item.node === node)) return items;
  for (const { members } of items) {
    const found = members && siblingsOf(members, node);
    if (found) return found;
  }
  return null;
}

function dissolved(state: State, [a]: Picks): State {
  const groups = state.rows.flatMap(({ items }) => all(items)).filter(({ members }) => members);
  const group = pick(groups, a);
  if (!group) return state;
  const workflow = ungroup(ground(state.workflow), canvasOf(state), group.node);
  const rows = inRows(state, (items) =>
    items.flatMap((item) => (item.node === group.node ? (item.members ?? []) : [item])),
  );
  return { workflow, rows };
}

function styled(state: State, [a, b]: Picks): State {
  const found = picked(state, a);
  // A control net of which no layer is seen is off, and with it all of its layers.
  if (!found || found.row.kind === "control") return state;
  const { node } = found.item;
  const looks = { title: `title ${b}`, opacity: (b % 10) / 10, visible: b % 2 === 0 };
  const workflow = setLayer(ground(state.workflow), canvasOf(state), node, looks);
  const rows = inRows(state, (items) =>
    items.map((item) => (item.node === node ? { ...item, ...looks } : item)),
  );
  return { workflow, rows };
}

function painted(state: State, [a, b]: Picks): State {
  const item = picked(state, a)?.item;
  if (!item || item.members) return state;
  const value = upload(pick(["c", "d", "e"], b) ?? "c");
  const place = { ...PLACE, x: (b % 7) * 8 };
  const workflow = setPicture(ground(state.workflow), canvasOf(state), item.node, value, place);
  const rows = inRows(state, (items) =>
    items.map((each) => (each.node === item.node ? { ...each, value } : each)),
  );
  return { workflow, rows };
}

function doubled(state: State, [a]: Picks): State {
  const item = picked(state, a)?.item;
  if (!item || item.members) return state;
  const made = duplicateLayer(ground(state.workflow), canvasOf(state), item.node);
  const copy = { ...item, node: made.node ?? "" };
  const rows = inRows(state, (items) =>
    items.flatMap((each) => (each.node === item.node ? [each, copy] : [each])),
  );
  return { workflow: made.workflow, rows };
}

function boxed(state: State, [a, b]: Picks): State {
  const box = { x: (a % 9) * 64 - 256, y: (b % 9) * 64 - 256, width: 256 + (a % 4) * 128 };
  return { ...state, workflow: setBox(ground(state.workflow), canvasOf(state), box) };
}

function accepted(state: State): State {
  const made = acceptResult(ground(state.workflow), canvasOf(state), [upload("f")], PLACE, "new");
  const item = { ...NEW, node: made.node ?? "", title: "new", value: upload("f") };
  const { workflow } = made;
  if (state.rows.some(({ kind }) => kind === "raster"))
    return { workflow, rows: onTop(state, "raster", item) };
  return { workflow, rows: [...state.rows, { kind: "raster", items: [item] }] };
}

const EDITS: Readonly<Record<string, (state: State, picks: Picks) => State>> = {
  added,
  removed,
  moved,
  grouped,
  dissolved,
  styled,
  painted,
  doubled,
  boxed,
  accepted,
};

const edits = fc.array(
  fc.tuple(
    fc.constantFrom("added", "added", "added", ...Object.keys(EDITS)),
    fc.tuple(fc.nat(999), fc.nat(999), fc.nat(999)),
  ),
  { minLength: 1, maxLength: 14 },
);

function begun(withPicture: boolean): State {
  const { workflow, names } = startCanvas(
    ground(emptyWorkflow()),
    withPicture ? PICTURE : null,
    SIZE,
  );
  const node = names.get("layer") ?? "";
  const first = { ...NEW, node, title: "", value: upload("a") };
  return { workflow, rows: withPicture ? [{ kind: "raster", items: [first] }] : [] };
}

/** What a list of layers is read as. */
function expected({ rows }: State) {
  const kinds = ["raster", "mask", "control", "region"];
  const of = (kind: string, items: readonly Item[], parent: string | null): readonly object[] =>
    items.flatMap(({ members, ...look }) => [
      ...of(kind, members ?? [], look.node),
      { ...look, kind, parent },
    ]);
  return kinds.flatMap((kind) =>
    rows.filter((row) => row.kind === kind).flatMap(({ items }) => of(kind, items, null)),
  );
}

function read(entries: readonly PaintEntry[]) {
  return entries.map((entry) => {
    const { node, title, opacity, visible, kind, parent } = entry;
    const value = isLayer(entry) ? (entry.picture?.value ?? null) : null;
    return { node, title, opacity, visible, value, kind, parent };
  });
}

/** The first of the states is the canvas begun. */
function statesOf(
  withPicture: boolean,
  sequence: readonly (readonly [string, Picks])[],
): readonly State[] {
  let state = begun(withPicture);
  const states = [state];
  for (const [name, picks] of sequence) {
    state = (EDITS[name] ?? added)(state, picks);
    states.push(state);
  }
  return states;
}

it("edits leave the layers that they say, in a sound graph", () => {
  fc.assert(
    fc.property(fc.boolean(), edits, (withPicture, sequence) => {
      for (const state of statesOf(withPicture, sequence)) {
        expectSound(state.workflow);
        expect(read(canvasOf(state).entries)).toEqual(expected(state));
        expect(canvasOf(state).sampler).not.toBeNull();
        expect(canvasOf(state).result).not.toBeNull();
      }
    }),
    { numRuns: 40 },
  );
}, 120_000);

it("canvases without layers sample as the one that was begun", () => {
  fc.assert(
    fc.property(edits, (sequence) => {
      let state = statesOf(false, sequence).at(-1) ?? begun(false);
      while (state.rows.length > 0) state = removed(state, [0, 0, 0]);
      const names = ({ workflow }: State) =>
        [...workflow.nodes.values()].map(({ type }) => type).toSorted();
      expect(names(state)).toEqual(names(begun(false)));
    }),
    { numRuns: 20 },
  );
}, 120_000);

it("each edit is undone to the very same workflow", () => {
  fc.assert(
    fc.property(edits, (sequence) => {
      const workflows = statesOf(true, sequence).map(({ workflow }) => workflow);
      const [first = emptyWorkflow(), ...others] = workflows;
      const texts = workflows.map(writeWorkflow);
      let history = begin(first, "begun");
      for (const workflow of others) history = commit(history, workflow, "edited");
      const distinct = workflows.filter((workflow, index) => workflow !== workflows[index - 1]);
      for (const workflow of distinct.toReversed()) {
        expect(currentValue(history)).toBe(workflow);
        history = undo(history);
      }
      // A copy writes its text anew: the one above is remembered.
      expect(workflows.map((workflow) => writeWorkflow({ ...workflow }))).toEqual(texts);
    }),
    { numRuns: 20 },
  );
}, 120_000);

it("a canvas is read alike under other names, in other places and in another order", () => {
  fc.assert(
    fc.property(edits, fc.array(fc.nat(), { minLength: 99, maxLength: 99 }), (sequence, order) => {
      const { workflow } = statesOf(true, sequence).at(-1) ?? begun(true);
      const names = [...workflow.nodes.keys()];
      const other = (name: string) => `n${names.indexOf(name)}`;
      let changed = names.reduce((w, name) => renameNode(w, null, name, other(name)), workflow);
      const places = names.map((name, index) => {
        const at = { x: order[index % 99] ?? 0, y: index * 100 };
        return [other(name), at] as const;
      });
      changed = moveItems(changed, null, new Map(places));
      for (const { id } of edgesOf(changed.nodes))
        changed = addReroute(changed, null, id, 0, { x: 1, y: 2 });
      const sorted = [...changed.nodes].toSorted(
        ([a], [b]) => (order[Number(a.slice(1))] ?? 0) - (order[Number(b.slice(1))] ?? 0),
      );
      const nodes = new Map(sorted);
      const before = canvasOf({ workflow });
      const after = canvasOf({ workflow: { ...changed, nodes } });
      const renamed = JSON.parse(
        JSON.stringify(before, (_, value) =>
          typeof value === "string" && workflow.nodes.has(value) ? other(value) : value,
        ),
      ) as PaintCanvas;
      // Control nets and regions stand beside each other: their order is that of the file.
      const sortedBy = (canvas: PaintCanvas) => ({
        ...canvas,
        entries: canvas.entries
          .filter(({ kind }) => kind === "raster" || kind === "mask")
          .concat(
            canvas.entries
              .filter(({ kind }) => kind === "control" || kind === "region")
              .toSorted((a, b) => a.node.localeCompare(b.node)),
          ),
      });
      expect(sortedBy(after)).toEqual(sortedBy(renamed));
    }),
    { numRuns: 20 },
  );
}, 120_000);
