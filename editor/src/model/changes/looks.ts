/** What was done to where things stand in one graph, and how they look. */
import { type Layout, layoutOf } from "../layout";
import { nodesOf, type Scope } from "../scope";
import { type Change, listed } from "./change";
import type { Compared } from "./nodes";
import { isSame } from "./same";

export function lookChanges(
  { before, after }: Compared,
  from: Scope,
  scope: Scope,
): readonly Change[] {
  const [was, now] = [layoutOf(before, from), layoutOf(after, scope)];
  if (was === now) return [];
  const old = nodesOf(before, from);
  const nodes = nodesOf(after, scope);
  const there = [...nodes.keys()].filter((name) => old.has(name));
  const found: Change[] = [];
  const of = (says: string, names: readonly string[]): void => {
    if (names.length === 0) return;
    const titles = names.map((name) => nodes.get(name)?.label || name);
    const values = { count: names.length, names: listed(titles) };
    found.push({ says, values, scope, node: names.length === 1 ? (names[0] ?? null) : null });
  };
  const differing = <T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>) =>
    a === b ? [] : there.filter((name) => !isSame(a.get(name), b.get(name)));
  of("moved", differing(was.positions, now.positions));
  of("resized", differing(was.sizes, now.sizes));
  of("coloured", differing(was.colors, now.colors));
  const folded = (name: string) => now.collapsed.has(name);
  const turned = there.filter((name) => was.collapsed.has(name) !== folded(name));
  of("collapsed", turned.filter(folded));
  of(
    "opened.cards",
    turned.filter((name) => !folded(name)),
  );
  of("ports", differing(was.shown, now.shown));
  found.push(...seedChanges(was, now, scope));
  found.push(...boxChanges("group", was.groups, now.groups, scope));
  found.push(...boxChanges("note", was.notes, now.notes, scope));
  if (was.reroutes !== now.reroutes && !isSame(was.reroutes, now.reroutes)) {
    found.push({ says: "routes", values: {}, scope, node: null });
  }
  if (!isSame(was.ends, now.ends)) found.push({ says: "ends", values: {}, scope, node: null });
  return found;
}

function seedChanges(was: Layout, now: Layout, scope: Scope): readonly Change[] {
  if (was.seeds === now.seeds) return [];
  const places = new Set([...was.seeds.keys(), ...now.seeds.keys()]);
  return [...places].flatMap((place) => {
    if (was.seeds.get(place) === now.seeds.get(place)) return [];
    const says = `seed.${now.seeds.get(place) ?? "fixed"}`;
    const node = place.split(".", 1)[0] ?? place;
    return [{ says, values: { node, port: place.slice(node.length + 1) }, scope, node }];
  });
}

interface Boxed {
  readonly id: string;
  readonly box: unknown;
}

function boxChanges(
  kind: "group" | "note",
  was: readonly Boxed[],
  now: readonly Boxed[],
  scope: Scope,
): readonly Change[] {
  if (was === now) return [];
  const [before, after] = [byId(was), byId(now)];
  const both = [...after.values()].filter(({ id }) => before.has(id));
  const counts: readonly (readonly [string, number])[] = [
    [`${kind}.added`, after.size - both.length],
    [`${kind}.removed`, before.size - both.length],
    [`${kind}.changed`, both.filter((each) => hasOtherWords(before.get(each.id), each)).length],
    [`${kind}.moved`, both.filter((each) => !isSame(before.get(each.id)?.box, each.box)).length],
  ];
  return counts
    .filter(([, count]) => count > 0)
    .map(([says, count]) => ({ says, values: { count }, scope, node: null }));
}

function byId(boxes: readonly Boxed[]): ReadonlyMap<string, Boxed> {
  return new Map(boxes.map((each) => [each.id, each]));
}

function hasOtherWords(was: Boxed | undefined, now: Boxed): boolean {
  return !isSame({ ...was, box: null }, { ...now, box: null });
}
