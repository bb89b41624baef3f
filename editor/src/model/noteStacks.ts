/** Notes that stand at a card: they go with it, above or below, wherever it is put. */
import type { Box, Layout, Note, Point } from "./layout";
import { boxAt, type Extent } from "./sizes";

export interface Stack {
  readonly above: readonly Note[];
  readonly below: readonly Note[];
}

/** How far from a card a note may be and still be about it, in pixels of the canvas. */
const REACH = 200;
const GAP = 16;

/** The notes at each of some nodes; those far from all of them are left out. */
export function stacksOf(
  layout: Layout,
  sizes: ReadonlyMap<string, Extent>,
  names: ReadonlySet<string>,
): ReadonlyMap<string, Stack> {
  const boxes = [...layout.positions].flatMap(([name, at]) => {
    const size = sizes.get(name);
    return size ? [[name, boxAt(at, size)] as const] : [];
  });
  const found = new Map<string, Stack>();
  for (const note of layout.notes) {
    const [nearest] = boxes
      .map(([name, box]) => ({ name, box, far: between(box, note.box) }))
      .sort((a, b) => a.far - b.far);
    if (!nearest || nearest.far > REACH || !names.has(nearest.name)) continue;
    const { above, below } = found.get(nearest.name) ?? { above: [], below: [] };
    const isBelow = note.box.y >= nearest.box.y + nearest.box.height;
    found.set(
      nearest.name,
      isBelow ? { above, below: [...below, note] } : { above: [...above, note], below },
    );
  }
  return found;
}

/** How large a card is with its notes. */
export function stackExtent({ above, below }: Stack, size: Extent): Extent {
  const notes = [...above, ...below].map(({ box }) => box);
  return {
    width: Math.max(size.width, ...notes.map(({ width }) => width)),
    height: notes.reduce((sum, { height }) => sum + height + GAP, size.height),
  };
}

/** How far below the corner the card begins. */
export function headOf(stack: Stack | undefined): number {
  return (stack?.above ?? []).reduce((sum, { box }) => sum + box.height + GAP, 0);
}

/** Where a card and its notes stand, the whole beginning at a corner. */
export function stackPlaces(
  { above, below }: Stack,
  size: Extent,
  corner: Point,
): { readonly node: Point; readonly notes: readonly (readonly [id: string, at: Point])[] } {
  const { x } = corner;
  let { y } = corner;
  const put = ({ id, box }: Note) => {
    const at = { x, y };
    y += box.height + GAP;
    return [id, at] as const;
  };
  const over = above.map(put);
  const node = { x, y };
  y += size.height + GAP;
  return { node, notes: [...over, ...below.map(put)] };
}

/** The gap between two boxes; none if one lies on the other. */
function between(a: Box, b: Box): number {
  const across = Math.max(a.x - b.x - b.width, b.x - a.x - a.width, 0);
  const down = Math.max(a.y - b.y - b.height, b.y - a.y - a.height, 0);
  return Math.hypot(across, down);
}
