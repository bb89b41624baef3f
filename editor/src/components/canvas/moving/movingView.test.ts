import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createStore } from "zustand/vanilla";
import { type FlowStore, MovingView, SELDOM, type Sight, type Transform } from "./movingView";

const SCREEN = { width: 800, height: 600 };
const DRAG = new MouseEvent("mousedown");

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** What the library knows, and the layer that it draws into. */
function canvas(needsMore: (now: Sight, before: Sight) => boolean = () => false) {
  const transform: Transform = [0, 0, 1];
  const store = createStore(() => ({ transform, ...SCREEN }));
  const [frame, layer] = [document.createElement("main"), document.createElement("div")];
  const view = new MovingView(store as unknown as FlowStore, frame, {
    layer: () => layer,
    isFar: () => false,
    needsMore,
  });
  return { store, frame, layer, view };
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
    expect(frame).not.toHaveAttribute("data-gliding");
  });

  it("the library draws what comes into sight, with what was in sight before", () => {
    const { store, layer, view } = canvas((now) => now.transform[0] < -90);
    view.begin(DRAG);
    view.change({ x: -50, y: 0, zoom: 1 });
    vi.advanceTimersByTime(FRAME);
    expect(store.getState().width).toBe(800);
    view.change({ x: -100, y: 30, zoom: 1 });
    vi.advanceTimersByTime(FRAME);
    expect(store.getState()).toEqual({ transform: [0, 30, 1], width: 900, height: 630 });
    expect(layer.style.transform).toBe("translate(-100px,30px) scale(1)");
    expect(view.sight).toEqual({ transform: [-100, 30, 1], ...SCREEN });
    view.end();
    expect(store.getState()).toEqual({ transform: [-100, 30, 1], ...SCREEN });
  });

  it("a screen that changes its size meanwhile has that size", () => {
    const { store, view } = canvas((now) => now.transform[0] < -90);
    view.begin(DRAG);
    view.change({ x: -100, y: 0, zoom: 1 });
    vi.advanceTimersByTime(FRAME);
    store.setState({ width: 500, height: 400 });
    view.end();
    expect(store.getState()).toEqual({ transform: [-100, 0, 1], width: 500, height: 400 });
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
