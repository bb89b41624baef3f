/**
 * Selections that went along with moved pixels: who undoes the move has the selection again where it
 * was, and who redoes it where it went, unless something else is selected by then.
 */
import type { Selection } from "./pixels/selection";

interface Move {
  readonly node: string;
  /** Of the layer's picture before. */
  readonly before: string;
  /** Null until the picture has a file. */
  after: string | null;
  readonly from: Selection;
  readonly to: Selection;
}

/** Older moves are forgotten. */
const MOST = 50;

export class MovedSelections {
  private readonly moves: Move[] = [];
  private readonly seen = new Map<string, string>();

  /** Pixels of a layer were moved; gives what takes the value of its new picture. */
  add(node: string, from: Selection, to: Selection): (value: string) => void {
    const before = this.seen.get(node);
    if (before === undefined) return () => undefined;
    const move: Move = { node, before, after: null, from, to };
    this.moves.push(move);
    if (this.moves.length > MOST) this.moves.shift();
    return (value) => {
      move.after = value;
    };
  }

  /** The layers show these values now; gives what is to be selected instead of what is. */
  show(values: Iterable<readonly [node: string, value: string]>, now: Selection): Selection | null {
    let found: Selection | null = null;
    for (const [node, value] of values) {
      const before = this.seen.get(node);
      this.seen.set(node, value);
      if (before === undefined || before === value) continue;
      for (const move of this.moves) {
        if (move.node !== node) continue;
        if (move.after === before && move.before === value && move.to === now) found = move.from;
        if (move.before === before && move.after === value && move.from === now) found = move.to;
      }
    }
    return found;
  }
}
