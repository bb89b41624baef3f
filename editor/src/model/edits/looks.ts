/** Where things stand and how they look: positions, sizes, colors, folded cards, shown ports. */
import { edgeId } from "../graph";
import { type Item, itemOf } from "../items";
import { changeLayout, type Group, type Layout, type Note, type Point, type Size } from "../layout";
import type { Scope } from "../scope";
import type { Workflow } from "../workflow";
import { boxAt, changeBox } from "./boxes";
import { samePoint, whole } from "./geometry";
import { withPoint } from "./reroutes";

/**
 * Put items at points; groups take nothing along, see `itemsInGroup`.
 *
 * A link's point that is moved by itself stays where it is put; one that only goes along with cards
 * may be found anew for them.
 */
export function moveItems(
  workflow: Workflow,
  scope: Scope,
  to: ReadonlyMap<string, Point>,
): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    let found = layout;
    const items = [...to].map(([id, at]) => [itemOf(id), whole(at)] as const);
    const goAlong = items.some(([{ kind }]) => kind === "node");
    for (const [item, at] of items) found = moved(found, item, at, goAlong);
    return found;
  });
}

function moved(layout: Layout, item: Item, at: Point, goAlong: boolean): Layout {
  if (item.kind === "node") {
    return samePoint(layout.positions.get(item.name), at)
      ? layout
      : { ...layout, positions: new Map(layout.positions).set(item.name, at) };
  }
  if (item.kind === "group") return changeBox(layout, "groups", item.id, (box) => boxAt(box, at));
  if (item.kind === "note") return changeBox(layout, "notes", item.id, (box) => boxAt(box, at));
  if (item.kind === "reroute") {
    const auto = goAlong && layout.reroutes.get(item.edge)?.[item.index]?.auto;
    return withPoint(layout, item.edge, item.index, auto ? { ...at, auto } : at);
  }
  if (item.kind === "end") {
    return samePoint(layout.ends.get(item.end), at)
      ? layout
      : { ...layout, ends: new Map(layout.ends).set(item.end, at) };
  }
  return layout;
}

/** Give a node a size; null for the usual one. */
export function resizeNode(
  workflow: Workflow,
  scope: Scope,
  name: string,
  size: Size | null,
): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    if (size === null && !layout.sizes.has(name)) return layout;
    const sizes = new Map(layout.sizes);
    if (size === null) sizes.delete(name);
    else sizes.set(name, roundedSize(size));
    return { ...layout, sizes };
  });
}

function roundedSize({ width, height }: Size): Size {
  const rounded = { width: Math.round(width) };
  return height === undefined ? rounded : { ...rounded, height: Math.round(height) };
}

/** Color nodes, groups and notes; "" takes the color away. */
export function setColor(
  workflow: Workflow,
  scope: Scope,
  items: Iterable<string>,
  color: string,
): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    let found = layout;
    for (const id of items) found = colored(found, itemOf(id), color);
    return found;
  });
}

function colored(layout: Layout, item: Item, color: string): Layout {
  const paint = <T extends Group | Note>(part: T): T =>
    part.color === color ? part : { ...part, color };
  if (item.kind === "group") return changeBox(layout, "groups", item.id, paint);
  if (item.kind === "note") return changeBox(layout, "notes", item.id, paint);
  if (item.kind !== "node" || (layout.colors.get(item.name) ?? "") === color) return layout;
  const colors = new Map(layout.colors);
  if (color === "") colors.delete(item.name);
  else colors.set(item.name, color);
  return { ...layout, colors };
}

export function setCollapsed(
  workflow: Workflow,
  scope: Scope,
  names: Iterable<string>,
  collapsed: boolean,
): Workflow {
  return setAmong(workflow, scope, "collapsed", names, collapsed);
}

/** Say that layers of the painting canvas aren't to be painted on. */
export function setLocked(
  workflow: Workflow,
  scope: Scope,
  names: Iterable<string>,
  locked: boolean,
): Workflow {
  return setAmong(workflow, scope, "locked", names, locked);
}

/** Say that strokes on layers of the painting canvas leave their transparency as it is. */
export function setAlphaLocked(
  workflow: Workflow,
  scope: Scope,
  names: Iterable<string>,
  locked: boolean,
): Workflow {
  return setAmong(workflow, scope, "alphaLocked", names, locked);
}

function setAmong(
  workflow: Workflow,
  scope: Scope,
  kind: "collapsed" | "locked" | "alphaLocked",
  names: Iterable<string>,
  isIn: boolean,
): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    const before = layout[kind];
    const found = new Set(before);
    for (const name of names) {
      if (isIn) found.add(name);
      else found.delete(name);
    }
    const isSame = found.size === before.size && [...found].every((name) => before.has(name));
    return isSame ? layout : { ...layout, [kind]: found };
  });
}

/** Show an input that has a widget as a port, or as its widget again. */
export function setShown(
  workflow: Workflow,
  scope: Scope,
  node: string,
  port: string,
  isShown: boolean,
): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    const before = layout.shown.get(node);
    if ((before?.has(port) ?? false) === isShown) return layout;
    const ports = new Set(before);
    if (isShown) ports.add(port);
    else ports.delete(port);
    const shown = new Map(layout.shown);
    if (ports.size > 0) shown.set(node, ports);
    else shown.delete(node);
    return { ...layout, shown };
  });
}

/** Say what happens to a seed after a run; null for the usual. */
export function setSeedMode(
  workflow: Workflow,
  scope: Scope,
  node: string,
  port: string,
  mode: string | null,
): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    const id = edgeId(node, port);
    if (layout.seeds.get(id) === (mode ?? undefined)) return layout;
    const seeds = new Map(layout.seeds);
    if (mode === null) seeds.delete(id);
    else seeds.set(id, mode);
    return { ...layout, seeds };
  });
}
