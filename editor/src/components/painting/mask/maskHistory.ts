/** The mask of one picture as it was after each stroke: what the stage shows, undo and redo. */
import type { Placement } from "@/model/painting/types";
import type { Rect, Size } from "../stage/pixels/geometry";
import { type Shelf, shelf as sharedShelf } from "../stage/pixels/shelf";
import { contextOf, encoded, newCanvas, type Picture } from "../stage/pixels/surface";

export interface MaskState {
  /** Names the mask's pixels on the shelf. */
  readonly value: string;
  readonly placement: Placement;
}

let count = 0;

export class MaskHistory {
  private readonly states: MaskState[];
  private at = 0;
  private readonly files = new Map<string, Promise<Blob>>();
  private readonly urls = new Map<string, string>();
  private readonly listeners = new Set<() => void>();

  /** @param mask One byte a pixel, 255 where it is masked. */
  constructor(
    private readonly size: Size,
    mask: Uint8Array,
    private readonly shelf: Shelf = sharedShelf,
  ) {
    const picture = whitePicture(size, mask);
    const first = { value: nextValue(), placement: { x: 0, y: 0, ...size, rotation: 0 } };
    this.states = [first];
    this.shelf.keep(first.value, picture);
    this.keepFile(first.value, encoded(picture));
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly now = (): MaskState => {
    const state = this.states[this.at];
    if (state === undefined) throw new Error("A mask has a state at any time.");
    return state;
  };

  get canUndo(): boolean {
    return this.at > 0;
  }

  get canRedo(): boolean {
    return this.at < this.states.length - 1;
  }

  /** One more step; gives the value of its pixels. */
  push(file: Promise<Blob>, placement: Placement): string {
    const value = nextValue();
    for (const { value: gone } of this.states.splice(this.at + 1)) this.forget(gone);
    this.keepFile(value, file);
    this.states.push({ value, placement });
    this.go(this.states.length - 1);
    return value;
  }

  undo(): void {
    if (this.canUndo) this.go(this.at - 1);
  }

  redo(): void {
    if (this.canRedo) this.go(this.at + 1);
  }

  /** Where the pixels of a value come from once the shelf has none of them; "" while unknown. */
  addressOf(value: string): string {
    return this.urls.get(value) ?? "";
  }

  /** The mask as it is now: one byte for each pixel of the picture, 255 where it is masked. */
  async mask(): Promise<Uint8Array> {
    const { value, placement } = this.now();
    await this.files.get(value);
    const picture = await this.shelf.load(value, this.addressOf(value));
    return alphaIn(this.size, picture, placement);
  }

  /** The same at once; null where its pixels have to be loaded first. */
  maskHere(): Uint8Array | null {
    const { value, placement } = this.now();
    const picture = this.shelf.get(value);
    return picture === undefined ? null : alphaIn(this.size, picture, placement);
  }

  dispose(): void {
    for (const { value } of this.states) this.forget(value);
  }

  private go(to: number): void {
    this.at = to;
    for (const listener of this.listeners) listener();
  }

  private keepFile(value: string, file: Promise<Blob>): void {
    const kept = file.then((blob) => {
      if (this.files.has(value)) this.urls.set(value, URL.createObjectURL(blob));
      return blob;
    });
    // Whoever wants the mask sees the failure; nobody else waits for it.
    kept.catch(() => undefined);
    this.files.set(value, kept);
  }

  private forget(value: string): void {
    const url = this.urls.get(value);
    if (url !== undefined) URL.revokeObjectURL(url);
    this.files.delete(value);
    this.urls.delete(value);
  }
}

function nextValue(): string {
  count += 1;
  return `mask:${count}`;
}

/** White, as opaque as the mask is strong. */
export function whitePixels(mask: Uint8Array): Uint8ClampedArray<ArrayBuffer> {
  const bytes = new Uint8ClampedArray(mask.length * 4).fill(255);
  for (let at = 0; at < mask.length; at++) bytes[at * 4 + 3] = mask[at] ?? 0;
  return bytes;
}

function whitePicture({ width, height }: Size, mask: Uint8Array): Picture {
  const image = newCanvas(width, height);
  contextOf(image, true).putImageData(new ImageData(whitePixels(mask), width, height), 0, 0);
  return { image, width, height };
}

/** How opaque a picture is where it lies on another one; nothing beside it. */
function alphaIn(size: Size, { image, width, height }: Picture, { x, y }: Rect): Uint8Array {
  const mask = new Uint8Array(size.width * size.height);
  const { data } = contextOf(image, true).getImageData(0, 0, width, height);
  const [left, right] = [Math.max(0, x), Math.min(size.width, x + width)];
  for (let row = Math.max(0, y); row < Math.min(size.height, y + height); row++)
    for (let column = left; column < right; column++)
      mask[row * size.width + column] = data[((row - y) * width + column - x) * 4 + 3] ?? 0;
  return mask;
}
