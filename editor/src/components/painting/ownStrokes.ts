/**
 * Strokes of this page, by the pictures they made, until others have them: two pages may paint on one
 * layer at once, and the picture that comes last has only its own stroke.
 */
import type { KeptEdit } from "./stage/pixels/keptEdit";

export interface OwnStroke {
  /** The value of the layer's picture that it was drawn on. */
  readonly before: string;
  /** The value that the layer got by it. */
  readonly after: string;
  readonly edit: KeptEdit;
}

/** Strokes that are on another picture than the one that others have. */
export interface Conflict {
  /** The picture of others. */
  readonly theirs: string;
  /** What is to be drawn on that, in its order. */
  readonly strokes: readonly OwnStroke[];
  /** False if some of what was drawn is on neither, as strokes are forgotten or were painted over. */
  readonly isWhole: boolean;
}

/** Bytes of pixels that are kept for one layer; the oldest strokes are forgotten. */
const MOST_BYTES = 64 * 2 ** 20;

/** Of one layer. */
export class OwnStrokes {
  private strokes: OwnStroke[] = [];
  /** Pictures that the server has had. */
  private readonly known = new Set<string>();
  /** Pictures of strokes from before they were drawn again. */
  private readonly superseded = new Set<string>();
  /** Whether the server shows one of those now, without what others had drawn. */
  private isCovered = false;
  /** Pictures of strokes that are forgotten. */
  private readonly forgotten = new Set<string>();

  add(stroke: OwnStroke): void {
    this.strokes.push(stroke);
    let bytes = 0;
    const last = this.strokes.findLastIndex(({ edit }) => {
      bytes += edit.size;
      return bytes > MOST_BYTES;
    });
    for (const { after } of this.strokes.splice(0, last + 1)) this.forgotten.add(after);
  }

  /** Whether there is a stroke that the server does not have, as far as is known. */
  get isAhead(): boolean {
    const last = this.strokes.at(-1);
    return last !== undefined && !this.known.has(last.after);
  }

  /** Whether a picture was drawn here. */
  has(value: string): boolean {
    return this.strokes.some(({ after }) => after === value);
  }

  /**
   * What others have drawn meanwhile; null for nothing.
   *
   * @param base The value of the layer's picture on the server.
   * @param shown The one that is shown here.
   */
  compare(base: string, shown: string): Conflict | null {
    // Sent before the conflict was known: what was drawn again follows.
    if (this.superseded.has(base)) {
      this.isCovered = true;
      return null;
    }
    this.known.add(base);
    const strokes = this.unknownUntil(shown);
    const [first] = strokes;
    if (first === undefined) this.isCovered = false;
    if (first === undefined || first.before === base) return null;
    const isWhole = !this.isCovered && !this.forgotten.has(first.before);
    return { theirs: base, strokes, isWhole };
  }

  /** Strokes were drawn again on another picture: these are their pictures now. */
  replace(values: ReadonlyMap<string, string>, base: string): void {
    this.strokes = this.strokes.map((stroke) => {
      const after = values.get(stroke.after);
      if (after === undefined) return stroke;
      if (after !== stroke.after) this.superseded.add(stroke.after);
      return { ...stroke, before: values.get(stroke.before) ?? base, after };
    });
  }

  /** The strokes that lead to a picture from the last one that the server has had. */
  private unknownUntil(shown: string): readonly OwnStroke[] {
    const strokes: OwnStroke[] = [];
    let value = shown;
    while (!this.known.has(value)) {
      const stroke = this.strokes.findLast(({ after }) => after === value);
      if (stroke === undefined || strokes.includes(stroke)) break;
      strokes.unshift(stroke);
      value = stroke.before;
    }
    return strokes;
  }
}
