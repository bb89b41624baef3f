import { intersection, outward, type Rect } from "./geometry";
import type { Edit } from "./surface";

/** An edit whose pixels were kept, to be drawn again. */
export class KeptEdit implements Edit {
  constructor(
    readonly operation: Edit["operation"],
    readonly opacity: number,
    readonly bounds: Rect,
    readonly bytes: Uint8ClampedArray<ArrayBuffer>,
  ) {}

  /** An edit with the pixels that it has now, as others go on changing. */
  static of(edit: Edit): KeptEdit {
    const rect = outward(edit.bounds);
    return new KeptEdit(edit.operation, edit.opacity, rect, edit.pixels(rect));
  }

  /** Bytes of its pixels. */
  get size(): number {
    return this.bytes.length;
  }

  pixels(rect: Rect): Uint8ClampedArray<ArrayBuffer> {
    const found = new Uint8ClampedArray(rect.width * rect.height * 4);
    const part = intersection(rect, this.bounds);
    for (let y = part.y; y < part.y + part.height; y++) {
      const from = ((y - this.bounds.y) * this.bounds.width + part.x - this.bounds.x) * 4;
      const to = ((y - rect.y) * rect.width + part.x - rect.x) * 4;
      found.set(this.bytes.subarray(from, from + part.width * 4), to);
    }
    return found;
  }
}
