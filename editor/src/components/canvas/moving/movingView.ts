/**
 * The view while somebody moves it.
 *
 * The canvas library asks each card and link with each change of the view whether it is to be seen.
 * While the view is dragged, or zoomed with the wheel, it therefore learns of the view only when
 * something new comes into sight, and when the view rests. Until then one layer moves.
 */
import type { useStoreApi, Viewport } from "@xyflow/react";
import { glide } from "./glide";

/** Left and top of the canvas' origin on the screen in pixels, and the zoom. */
export type Transform = readonly [number, number, number];

/** What is seen of the canvas. */
export interface Sight {
  readonly transform: Transform;
  /** Of the screen, in pixels. */
  readonly width: number;
  readonly height: number;
}

/** What of a graph a move has to ask about. */
export interface Moved {
  /** The layer with all cards and links; null if nothing in it is to be seen. */
  readonly layer: () => HTMLElement | null;
  /** Whether so much is seen that as a layer it would be too large. */
  readonly isFar: () => boolean;
  /** Whether the library has to draw more than it did for an earlier sight. */
  readonly needsMore: (now: Sight, before: Sight) => boolean;
}

/** Milliseconds without a move after which the view rests, though a button may still be down. */
const REST = 100;

type FlowStore = ReturnType<typeof useStoreApi>;

export class MovingView {
  private live: Transform | null = null;
  private isGesture = false;
  private frame = 0;
  private timer = 0;
  private last = 0;
  private readonly followers = new Set<() => void>();
  private readonly layers = new Set<HTMLElement>();
  /** Of those that glide just now. */
  private gliding: readonly (() => void)[] = [];

  constructor(
    private readonly store: FlowStore,
    private readonly moved: Moved,
  ) {}

  /** As it is seen now. */
  get sight(): Sight {
    const { transform, width, height } = this.store.getState();
    return { transform: this.live ?? transform, width, height };
  }

  /** Whether it is moved by somebody just now, and not resting meanwhile. */
  get isMoving(): boolean {
    return this.live !== null;
  }

  /** Call with each change of the view, once in each frame of a move. */
  follow(follower: () => void): () => void {
    this.followers.add(follower);
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
  }

  /** Where the library's gestures and calls want it. */
  readonly change = ({ x, y, zoom }: Viewport): void => {
    if (!this.isGesture) {
      this.live = null;
      this.store.setState({ transform: [x, y, zoom] });
      return;
    }
    this.live = [x, y, zoom];
    this.last = performance.now();
    if (this.frame === 0) this.frame = requestAnimationFrame(this.show);
    if (this.timer === 0) this.timer = window.setTimeout(this.rest, REST);
  };

  /** Have the library know the view as it is, for what asks it. */
  readonly settle = (): void => {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    [this.frame, this.timer] = [0, 0];
    for (const stop of this.gliding) stop();
    this.gliding = [];
    const { live } = this;
    if (live === null) return;
    this.live = null;
    this.place(live, this.moved.layer());
    this.store.setState({ transform: [...live] });
  };

  private readonly show = (): void => {
    this.frame = 0;
    const { live } = this;
    if (live === null) return;
    this.glide();
    const { transform, width, height } = this.store.getState();
    const before = { transform, width, height };
    if (this.moved.needsMore({ ...before, transform: live }, before)) {
      this.store.setState({ transform: [...live] });
    } else {
      this.place(live, this.moved.layer());
    }
    for (const follower of this.followers) follower();
  };

  private glide(): void {
    if (this.gliding.length > 0) return;
    const cards = this.moved.layer();
    const isLayer = cards !== null && !this.moved.isFar();
    this.gliding = (isLayer ? [cards, ...this.layers] : [...this.layers]).map(glide);
  }

  private place([x, y, zoom]: Transform, layer: HTMLElement | null): void {
    if (layer !== null) layer.style.transform = `translate(${x}px,${y}px) scale(${zoom})`;
  }

  private readonly rest = (): void => {
    const left = this.last + REST - performance.now();
    if (left > 1) this.timer = window.setTimeout(this.rest, left);
    else this.settle();
  };
}
