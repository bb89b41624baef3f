/** Which boxes of a graph are to be seen. */

import type { CanvasEdge, CanvasNode } from "@/components/canvas/adapt";
import { boxOf } from "@/components/canvas/adapt";

/** What is seen of the canvas. */
export interface Sight {
  readonly transform: readonly [number, number, number];
  /** Of the screen, in pixels. */
  readonly width: number;
  readonly height: number;
}

type Area = readonly [left: number, top: number, right: number, bottom: number];

const NONE: ReadonlySet<string> = new Set();

interface Link {
  readonly source: string;
  readonly target: string;
  readonly area: Area;
}

/** Where the cards of a graph are, and its links as the library reckons them. */
export class Boxes {
  private readonly cards = new Map<string, Area>();
  private readonly links: readonly Link[];

  constructor(nodes: readonly CanvasNode[], edges: readonly CanvasEdge[]) {
    for (const node of nodes) {
      const { x, y, width, height } = boxOf(node);
      this.cards.set(node.id, [x, y, x + width, y + height]);
    }
    this.links = edges.flatMap(({ source, target }) => {
      const [from, to] = [this.cards.get(source), this.cards.get(target)];
      return from && to ? [{ source, target, area: bothOf(from, to) }] : [];
    });
  }

  /** The cards in sight. */
  inSight(sight: Sight): readonly string[] {
    const area = areaOf(sight);
    const found: string[] = [];
    for (const [id, box] of this.cards) if (touches(box, area)) found.push(id);
    return found;
  }

  /** Whether something is in sight now that was not before, except what is kept, with its links. */
  hasNew(now: Sight, before: Sight, kept: ReadonlySet<string> = NONE): boolean {
    const area = areaOf(now);
    const was = areaOf(before);
    if (area[0] >= was[0] && area[1] >= was[1] && area[2] <= was[2] && area[3] <= was[3])
      return false;
    for (const [id, box] of this.cards)
      if (touches(box, area) && !touches(box, was) && !kept.has(id)) return true;
    return this.links.some(
      ({ source, target, area: box }) =>
        touches(box, area) && !touches(box, was) && !kept.has(source) && !kept.has(target),
    );
  }
}

function bothOf(one: Area, other: Area): Area {
  return [
    Math.min(one[0], other[0]),
    Math.min(one[1], other[1]),
    Math.max(one[2], other[2]),
    Math.max(one[3], other[3]),
  ];
}

function touches(box: Area, area: Area): boolean {
  return box[0] < area[2] && box[2] > area[0] && box[1] < area[3] && box[3] > area[1];
}

/** What is seen, on the canvas. */
function areaOf({ transform: [x, y, zoom], width, height }: Sight): Area {
  return [-x / zoom, -y / zoom, (width - x) / zoom, (height - y) / zoom];
}
