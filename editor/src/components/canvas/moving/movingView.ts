/**
 * The view while somebody moves it.
 *
 * The canvas library asks each card and link with each change of the view whether it is to be seen.
 * While the view is dragged, or zoomed with the wheel, it therefore learns of the view only when
 * something new comes into sight, and when the view rests. Until then one layer moves.
 */
import type { useStoreApi, Viewport } from "@xyflow/react";
import { keeping } from "./culling";
import { glide } from "./glide";
import type { Boxes, Sight } from "./inSight";
import { KeptCards } from "./keptCards";

/** Left and top of the canvas' origin on the screen in pixels, and the zoom. */
export type Transform = readonly [number, number, number];

/** What of a graph a move has to ask about. */
export interface Moved {
  /** The layer with all cards and links; null if nothing in it is to be seen. */
  readonly layer: () => HTMLElement | null;
  /** Whether so much is seen that as a layer it would be too large. */
  readonly isFar: () => boolean;
  /** Where cards and links are; null from afar, where all of them are one drawing. */
  readonly boxes: () => Boxes | null;
}

/** Milliseconds between what need not follow in each frame. */
export const SELDOM = 100;

/** Milliseconds without a move after which the view rests, though a button may still be down. */
const REST = 100;

/** The same until layers glide no more, and the longest until the view rests. */
const STILL = 400;

/** So many times the last pause between two moves have to pass: a busy machine's moves come late. */
const PAUSES = 3;

/** A layer between two pixels is blurred, and to blend it takes a browser without a GPU all of a frame. */
export function wholePixels(length: number): number {
  const scale = window.devicePixelRatio || 1;
  return Math.round(length * scale) / scale;
}

export type FlowStore = ReturnType<typeof useStoreApi>;

export class MovingView {
  private live: Transform | null = null;
  private readonly kept = new KeptCards();
  private isGesture = false;
  private frame = 0;
  private timer = 0;
  private last = 0;
  /** Milliseconds without a move after which this gesture rests. */
  private patience = REST;
  private readonly followers = new Map<() => void, { readonly pause: number; last: number }>();
  private readonly layers = new Set<HTMLElement>();
  /** The layer with all cards, if anything of it is to be seen. */
  private cards: HTMLElement | null = null;
  /** Ends what the layers do to glide. */
  private gliding: readonly (() => void)[] = [];
  private glidesFar = false;

  constructor(
    private readonly store: FlowStore,
    private readonly frameElement: HTMLElement,
    private readonly moved: Moved,
  ) {}

  /** As it is seen now. */
  get sight(): Sight {
    const { known } = this;
    return this.live === null ? known : { ...known, transform: this.live };
  }

  /** As the library knows it. */
  private get known(): Sight {
    const { transform, width, height } = this.store.getState();
    return { transform, width, height };
  }

  /** Whether it is moved by somebody just now, and not resting meanwhile. */
  get isMoving(): boolean {
    return this.live !== null;
  }

  /**
   * Call with each change of the view, once in each frame of a move.
   *
   * Args:
   *   pause: Milliseconds between calls during a move; where it rests there is always one.
   */
  follow(follower: () => void, pause = 0): () => void {
    this.followers.set(follower, { pause, last: 0 });
    const stop = this.store.subscribe(() => {
      if (this.live === null) follower();
    });
    return () => {
      stop();
      this.followers.delete(follower);
    };
  }

  /** Besides the cards' layer, an element that follows the view by its transform. */
  addLayer(element: HTMLElement): () => void {
    this.layers.add(element);
    return () => this.layers.delete(element);
  }

  /** It begins to move: by an event, or null for what moves by itself. */
  begin(event: MouseEvent | TouchEvent | null): void {
    this.glide();
    this.last = performance.now();
    // Over something that is dragged meanwhile, the library has to know each change.
    const isDragging = event?.type === "wheel" && "buttons" in event && event.buttons !== 0;
    this.isGesture = event !== null && !isDragging;
  }

  /** Something is pressed, which may begin a drag by the view as it is. */
  press(pointerType: string): void {
    this.settle();
    if (pointerType !== "touch") this.isGesture = false;
  }

  /** All is as it is seen, until somebody moves it again. */
  end(): void {
    this.isGesture = false;
    this.settle();
    // The next move often comes at once: layers that glide on till then need not be made anew.
    this.last = performance.now();
    if (this.timer === 0) this.timer = window.setTimeout(this.rest, REST);
  }

  /** Where the library's gestures and calls want it. */
  readonly change = ({ x, y, zoom }: Viewport): void => {
    if (!this.isGesture) {
      this.settle();
      this.store.setState({ transform: keeping([x, y, zoom], this.kept.all) });
      return;
    }
    const time = performance.now();
    this.patience = Math.min(Math.max(REST, PAUSES * (time - this.last)), STILL);
    this.live = [x, y, zoom];
    this.last = time;
    if (this.frame === 0) this.frame = requestAnimationFrame(this.show);
    if (this.timer === 0) this.timer = window.setTimeout(this.rest, REST);
  };

  /** Have the library know the view as it is, for what asks it. */
  readonly settle = (): void => {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { live } = this;
    if (live === null) return;
    const now = this.sight;
    this.live = null;
    this.place(live);
    this.say(now);
  };

  private readonly show = (): void => {
    this.frame = 0;
    const { live } = this;
    if (live === null) return;
    this.glide();
    const now = this.sight;
    if (this.moved.boxes()?.hasNew(now, this.known, this.kept.all)) this.say(now);
    this.place(live);
    const time = performance.now();
    for (const [follower, calls] of this.followers) {
      if (time - calls.last < calls.pause) continue;
      calls.last = time;
      follower();
    }
  };

  private glide(): void {
    const isFar = this.moved.isFar();
    if (this.gliding.length > 0 && this.glidesFar === isFar) return;
    this.halt();
    this.glidesFar = isFar;
    this.cards = this.moved.layer();
    const layers = this.cards === null || isFar ? this.layers : [this.cards, ...this.layers];
    this.gliding = [...layers].map(glide);
    this.frameElement.toggleAttribute("data-gliding", !isFar);
  }

  private halt(): void {
    if (this.gliding.length === 0) return;
    for (const stop of this.gliding) stop();
    this.gliding = [];
    this.frameElement.removeAttribute("data-gliding");
  }

  /** Have the library draw what is in sight, and what was, as far as it is kept. */
  private say(now: Sight): void {
    const boxes = this.moved.boxes();
    if (boxes !== null) {
      this.kept.see(boxes.inSight(this.known));
      this.kept.see(boxes.inSight(now));
    }
    this.store.setState({ transform: keeping(now.transform, this.kept.all) });
  }

  private place([x, y, zoom]: Transform): void {
    const { cards } = this;
    if (cards === null) return;
    cards.style.transform = `translate(${wholePixels(x)}px,${wholePixels(y)}px) scale(${zoom})`;
  }

  private readonly rest = (): void => {
    const since = performance.now() - this.last;
    const isResting = since >= this.patience - 1;
    if (isResting) this.settle();
    if (since >= STILL - 1) {
      this.timer = 0;
      this.halt();
    } else {
      this.timer = window.setTimeout(this.rest, (isResting ? STILL : this.patience) - since);
    }
  };
}
