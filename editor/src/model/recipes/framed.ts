/** What a recipe added, in a frame that says what it does: known again in a graph of many cards. */
import { addGroup } from "../edits/boxes";
import { type Box, changeLayout, layoutOf } from "../layout";
import { nodesOf } from "../scope";
import { around, boxAt, type Extent, sizesOf } from "../sizes";
import { type Added, type Ground, nearestFree } from "./chain";

const MARGIN = 24;
/** Of the title above the cards. */
const HEAD = 36;
const NO_SIZE: Extent = { width: 0, height: 0 };

/**
 * The nodes with a titled frame around them, moved until no other card lies in it.
 *
 * A single node has its own title. Nodes without positions get them when they are shown.
 */
export function framed({ scope, types }: Ground, added: Added, title: string): Added {
  const own = new Set(added.names.values());
  const layout = layoutOf(added.workflow, scope);
  const sizes = sizesOf(added.workflow, scope, layout, types);
  const boxes = new Map<string, Box>();
  for (const name of nodesOf(added.workflow, scope).keys()) {
    const at = layout.positions.get(name);
    if (at) boxes.set(name, boxAt(at, sizes.get(name) ?? NO_SIZE));
  }
  const inside = around(
    [...boxes].flatMap(([name, box]) => (own.has(name) ? [box] : [])),
    MARGIN,
  );
  if (own.size < 2 || inside === null || [...own].some((name) => !boxes.has(name))) return added;
  const head = HEAD - MARGIN;
  const box = { ...inside, y: inside.y - head, height: inside.height + head };
  const others = [...boxes].flatMap(([name, other]) => (own.has(name) ? [] : [other]));
  const by = nearestFree(box, [...others, ...layout.notes.map((note) => note.box)]);
  const moved = changeLayout(added.workflow, scope, (before) => ({
    ...before,
    positions: new Map(
      [...before.positions].map(([name, at]) => [
        name,
        own.has(name) && by !== 0 ? { x: at.x, y: at.y + by } : at,
      ]),
    ),
  }));
  const frame = { title, box: { ...box, y: box.y + by } };
  return { ...added, workflow: addGroup(moved, scope, frame).workflow };
}
