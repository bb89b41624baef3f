import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createStore } from "zustand/vanilla";
import type { CanvasNode } from "@/components/canvas/adapt";
import { getNodesInside } from "./culling";
import { Boxes } from "./inSight";
import { type FlowStore, MovingView, SELDOM, type Transform } from "./movingView";

const SCREEN = { width: 800, height: 600 };
const DRAG = new MouseEvent("mousedown");

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A card that is in sight at first, and others to the right of it, each on a screen of its own. */
const CARDS = Array.from({ length: 100 }, (_, index) => {
  const position = { x: 800 * index, y: 0 };
  return { id: `c${index}`, type: "card", position, width: 200, height: 100 } as CanvasNode;
});

/** What the library knows, and the layer that it draws into. */
function canvas() {
  const transform: Transform = [0, 0, 1];
  const store = createStore(() => ({ transform, ...SCREEN }));
  const [frame, layer] = [document.createElement("main"), document.createElement("div")];
  const boxes = new Boxes(CARDS, []);
  const view = new MovingView(store as unknown as FlowStore, frame, {
    layer: () => layer,
    isFar: () => false,
    boxes: () => boxes,
  });
  return { store, frame, layer, view };
}

/** The cards that the library draws, which it looks up by their ids. */
function drawn({ store }: ReturnType<typeof canvas>): readonly string[] {
  const { transform, width, height } = store.getState();
  const internals = { positionAbsolute: { x: 0, y: 0 }, handleBounds: {} };
  const nodes = CARDS.map((card) => {
    const own = { ...internals, positionAbsolute: card.position, userNode: card };
    return [card.id, { ...card, measured: { width: 200, height: 100 }, internals: own }] as const;
  });
  const lookup = new Map(nodes) as unknown as Parameters<typeof getNodesInside>[0];
  const screen = { x: 0, y: 0, width, height };
  return getNodesInside(lookup, screen, transform as [number, number, number], true).map(
    ({ id }) => id,
  );
}

/** The view is dragged so that a card's place is the left edge of the screen. */
function dragTo(view: MovingView, card: number): void {
  view.begin(DRAG);
  view.change({ x: -800 * card, y: 0, zoom: 1 });
  vi.advanceTimersByTime(FRAME);
}

const FRAME = 17;

describe("while somebody moves the view", () => {
  it("one layer moves, and the library knows of it where it rests", () => {
    const { store, frame, layer, view } = canvas();
    view.begin(DRAG);
    for (const x of [10, 20, 30]) {
      view.change({ x, y: 5, zoom: 1 });
      vi.advanceTimersByTime(FRAME);
      expect(layer.style.transform).toBe(`translate(${x}px,5px) scale(1)`);
    }
    expect(store.getState().transform).toEqual([0, 0, 1]);
    expect(view.sight.transform).toEqual([30, 5, 1]);
    expect(frame).toHaveAttribute("data-gliding");
    vi.advanceTimersByTime(120);
    expect(store.getState()).toEqual({ transform: [30, 5, 1], ...SCREEN });
    vi.advanceTimersByTime(300);
    expect(frame).not.toHaveAttribute("data-gliding");
  });

  it("the library draws what comes into sight, with what was in sight before", () => {
    const made = canvas();
    const { store, layer, view } = made;
    dragTo(view, 1);
    expect(store.getState().transform).toEqual([-800, 0, 1]);
    expect(layer.style.transform).toBe("translate(-800px,0px) scale(1)");
    view.end();
    expect(drawn(made)).toEqual(["c0", "c1"]);
  });

  it("going back to what is kept, the library has nothing to draw", () => {
    const { store, view } = canvas();
    dragTo(view, 1);
    dragTo(view, 2);
    dragTo(view, 1);
    expect(store.getState().transform).toEqual([-1600, 0, 1]);
  });

  it("of what was in sight, the last is kept, and not all", () => {
    const made = canvas();
    for (let card = 0; card < CARDS.length; card += 1) dragTo(made.view, card);
    made.view.end();
    const all = drawn(made);
    expect(all).toContain("c99");
    expect(all).toContain("c50");
    expect(all).not.toContain("c10");
  });

  it("a layer glides on for a moment, as the next move may come at once", () => {
    const { frame, view } = canvas();
    dragTo(view, 1);
    view.end();
    expect(frame).toHaveAttribute("data-gliding");
    vi.advanceTimersByTime(300);
    dragTo(view, 2);
    vi.advanceTimersByTime(300);
    expect(frame).toHaveAttribute("data-gliding");
    view.end();
    view.press("mouse");
    vi.advanceTimersByTime(400);
    expect(frame).not.toHaveAttribute("data-gliding");
  });

  it("whoever asks, or presses something, has the view as it is", () => {
    const { store, view } = canvas();
    view.begin(new WheelEvent("wheel"));
    view.change({ x: 0, y: 0, zoom: 1.5 });
    view.settle();
    expect(store.getState().transform).toEqual([0, 0, 1.5]);
    view.change({ x: 0, y: 0, zoom: 1.6 });
    view.press("mouse");
    expect(store.getState().transform).toEqual([0, 0, 1.6]);
    // It may be a card that is dragged now, which the library puts where the view is.
    view.change({ x: 0, y: 0, zoom: 1.7 });
    expect(store.getState().transform).toEqual([0, 0, 1.7]);
  });

  it("it does not rest between the moves of a busy machine", () => {
    const { store, view } = canvas();
    view.begin(DRAG);
    for (const x of [10, 20, 30]) {
      vi.advanceTimersByTime(130);
      view.change({ x, y: 0, zoom: 1 });
    }
    expect(store.getState().transform).toEqual([0, 0, 1]);
    vi.advanceTimersByTime(400);
    expect(store.getState().transform).toEqual([30, 0, 1]);
  });

  it("what follows seldom is called at last nevertheless", () => {
    const { view } = canvas();
    const [always, seldom] = [vi.fn(), vi.fn()];
    view.follow(always);
    view.follow(seldom, SELDOM);
    view.begin(DRAG);
    vi.advanceTimersByTime(SELDOM);
    for (let step = 1; step <= 5; step += 1) {
      view.change({ x: step, y: 0, zoom: 1 });
      vi.advanceTimersByTime(FRAME);
    }
    expect(always).toHaveBeenCalledTimes(5);
    expect(seldom).toHaveBeenCalledTimes(1);
    view.end();
    expect(seldom).toHaveBeenCalledTimes(2);
  });
});

it("a view that moves by itself is known to the library at once", () => {
  const { store, view } = canvas();
  view.begin(null);
  view.change({ x: 1, y: 2, zoom: 0.5 });
  expect(store.getState().transform).toEqual([1, 2, 0.5]);
  expect(view.isMoving).toBe(false);
});

it("with the wheel over something that is dragged, the library knows of each change", () => {
  const { store, view } = canvas();
  view.begin(new WheelEvent("wheel", { buttons: 1 }));
  view.change({ x: 1, y: 2, zoom: 0.5 });
  expect(store.getState().transform).toEqual([1, 2, 0.5]);
});
