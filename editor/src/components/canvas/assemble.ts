/** The nodes as they are drawn: the scene's, with what is moved, measured or resized just now. */
import type { NodeChange } from "@xyflow/react";
import type { Point, Size } from "@/model/layout";
import type { CanvasNode } from "./adapt";
import { handlesOf } from "./card/handles";

export interface Local {
  /** Places of what is being dragged. */
  readonly moves: ReadonlyMap<string, Point>;
  /** Sizes of what is being resized; without a height where only the width is. */
  readonly sizes: ReadonlyMap<string, Size>;
  /** Sizes as drawn. */
  readonly measured: ReadonlyMap<string, Required<Size>>;
}

export const NO_LOCAL: Local = { moves: new Map(), sizes: new Map(), measured: new Map() };

interface Drawn {
  readonly base: CanvasNode;
  readonly at: Point | undefined;
  readonly size: Size | undefined;
  readonly measured: Required<Size> | undefined;
  readonly selected: boolean;
  readonly node: CanvasNode;
}

/** Remembers the nodes that it made, so that those that stay the same aren't drawn anew. */
export class Assembler {
  private drawn = new Map<string, Drawn>();

  assemble(
    base: readonly CanvasNode[],
    local: Local,
    selection: ReadonlySet<string>,
  ): CanvasNode[] {
    const next = new Map<string, Drawn>();
    for (const node of base) next.set(node.id, this.draw(node, local, selection.has(node.id)));
    this.drawn = next;
    return [...next.values()].map(({ node }) => node);
  }

  private draw(base: CanvasNode, local: Local, selected: boolean): Drawn {
    const at = local.moves.get(base.id);
    const size = local.sizes.get(base.id);
    const measured = local.measured.get(base.id);
    const known = this.drawn.get(base.id);
    const isSame =
      known?.base === base &&
      known.at === at &&
      known.size === size &&
      known.measured === measured &&
      known.selected === selected;
    if (isSame) return known;
    return {
      base,
      at,
      size,
      measured,
      selected,
      node: drawNode(base, at, size, measured, selected),
    };
  }
}

/**
 * Cards are placed by left and top: five hundred transforms make as many paint chunks, over which
 * the browser goes in quadratic time whenever it puts layers together.
 */
function drawNode(
  base: CanvasNode,
  at: Point | undefined,
  size: Size | undefined,
  measured: Required<Size> | undefined,
  selected: boolean,
): CanvasNode {
  const node = { ...base, selected };
  if (at) Object.assign(node, { position: { x: at.x, y: at.y }, dragging: true });
  node.style = { ...base.style, transform: "none", left: node.position.x, top: node.position.y };
  if (measured) node.measured = measured;
  if (size) Object.assign(node, resized(base, size));
  return node;
}

/** A card is at least as high as what is in it; a frame is as high as it is drawn. */
function resized(base: CanvasNode, size: Size): Partial<CanvasNode> {
  const { width } = size;
  if (base.type !== "card") return size;
  const { card, collapsed } = base.data;
  const data = { ...base.data, size: { ...base.data.size, ...size } };
  return { width, data, handles: handlesOf(card, width, collapsed) };
}

/** What changes of the library's do to it; those of the selection are told apart. */
export function changed(local: Local, changes: readonly NodeChange<CanvasNode>[]): Local {
  let { moves, sizes } = local;
  const places = changes.flatMap((change) =>
    change.type === "position" && change.position ? [[change.id, change.position] as const] : [],
  );
  if (places.length > 0) moves = new Map([...moves, ...places]);
  // Copied once: of two thousand cards that come into view, each tells its size.
  const drawn = changes.flatMap((change) => measuredOf(change, local));
  const measured = drawn.length > 0 ? new Map([...local.measured, ...drawn]) : local.measured;
  for (const change of changes) {
    if (change.type !== "dimensions") continue;
    const { id, dimensions, resizing, setAttributes } = change;
    if (dimensions && resizing) {
      const { width } = dimensions;
      sizes = new Map(sizes).set(id, setAttributes === "width" ? { width } : dimensions);
    } else if (resizing === false) {
      // It is written; kept here, it would hide that it is undone.
      sizes = without(sizes, id);
      moves = without(moves, id);
    }
  }
  const isSame = moves === local.moves && sizes === local.sizes && measured === local.measured;
  return isSame ? local : { moves, sizes, measured };
}

/** What a resize asks for isn't what a card takes: one that gets wider gets higher by its picture. */
function measuredOf(
  change: NodeChange<CanvasNode>,
  local: Local,
): readonly (readonly [string, Required<Size>])[] {
  if (change.type !== "dimensions" || !change.dimensions || change.resizing !== undefined)
    return [];
  const known = local.measured.get(change.id);
  const { width, height } = change.dimensions;
  if (known?.width === width && known.height === height) return [];
  return [[change.id, change.dimensions]];
}

function without<T>(map: ReadonlyMap<string, T>, id: string): ReadonlyMap<string, T> {
  const found = new Map(map);
  found.delete(id);
  return found;
}
