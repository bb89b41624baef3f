/** What a reload finds of the canvas. */
import { beforeEach, expect, it, vi } from "vitest";

beforeEach(() => {
  sessionStorage.clear();
  vi.resetModules();
  vi.useRealTimers();
});

async function loaded() {
  return (await import("./canvasUi")).useCanvasUi;
}

it("a reload right after a layer is chosen finds it chosen", async () => {
  (await loaded()).getState().choose("add_layer_2");
  vi.resetModules();
  expect((await loaded()).getState().active).toBe("add_layer_2");
});

it("a reload right after the view is dragged finds it there", async () => {
  const view = { x: 3, y: 4, zoom: 2 };
  (await loaded()).getState().look(view);
  dispatchEvent(new Event("pagehide"));
  vi.resetModules();
  expect([...(await loaded()).getState().views.values()]).toEqual([view]);
});
