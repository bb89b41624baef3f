/** Boxes by where they lie, so that what is near something is found without asking all of them. */
import type { Box } from "@/model/layout";

/** Side of a cell, in pixels of the canvas: about two cards. */
const CELL = 640;

export interface Span {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export class BoxIndex {
  private readonly cells = new Map<number, string[]>();

  constructor(readonly boxes: ReadonlyMap<string, Box>) {
    for (const [name, box] of boxes) {
      eachCell(spanOf(box), (key) => {
        const cell = this.cells.get(key);
        if (cell) cell.push(name);
        else this.cells.set(key, [name]);
      });
    }
  }

  /** Names of the boxes that may lie in a span. */
  near(span: Span): Iterable<string> {
    if (countOf(span) > this.cells.size) return this.boxes.keys();
    const found = new Set<string>();
    eachCell(span, (key) => {
      for (const name of this.cells.get(key) ?? []) found.add(name);
    });
    return found;
  }
}

export function spanOf({ x, y, width, height }: Box): Span {
  return { left: x, right: x + width, top: y, bottom: y + height };
}

function cellAt(value: number): number {
  return Math.floor(value / CELL);
}

/** Of the cells that a span lies in; endless where it is. */
function countOf({ left, right, top, bottom }: Span): number {
  return (cellAt(right) - cellAt(left) + 1) * (cellAt(bottom) - cellAt(top) + 1);
}

/** More rows than any graph has. */
const ROWS = 2 ** 24;

function eachCell({ left, right, top, bottom }: Span, visit: (key: number) => void): void {
  const [last, lowest] = [cellAt(right), cellAt(bottom)];
  for (let column = cellAt(left); column <= last; column += 1)
    for (let row = cellAt(top); row <= lowest; row += 1) visit(column * ROWS + row);
}
