/** Strokes that an earlier page has lost are drawn once. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { LostStroke } from "@/store/strokeJournal";
import type { StageHandle } from "./stage/stageProps";
import { drawLost } from "./strokes";

const state = vi.hoisted(() => ({ value: "old", lost: [] as unknown[] }));

vi.mock("./layerActions", () => ({
  editOf: vi.fn(),
  here: () => ({
    canvas: {
      entries: [{ node: "layer", kind: "raster", placement: {}, picture: { value: state.value } }],
    },
  }),
}));
vi.mock("@/store/strokeJournal", async (original) => ({
  ...(await original<object>()),
  lostStrokes: async () => state.lost,
  forgetStroke: async () => undefined,
}));

const GRAPH = { document: "one", scope: null };

function lostStroke(key: string, before: string, after: string | null): LostStroke {
  const rect = { x: 0, y: 0, width: 1, height: 1 };
  const bytes = new Uint8ClampedArray(4);
  const drawn = {
    label: "Brush stroke",
    operation: "source-over",
    opacity: 1,
    rect,
    bytes,
  } as const;
  return { ...GRAPH, ...drawn, key, node: "layer", before, after };
}

/** A stage whose layers are loaded after so many looks. */
function stageAfter(looks: number) {
  let left = looks;
  const draw = vi.fn(() => left-- <= 0);
  return { draw, stage: () => ({ draw }) as unknown as StageHandle };
}

beforeEach(() => {
  vi.useFakeTimers();
  state.value = "old";
  state.lost = [lostStroke("1", "old", "first"), lostStroke("2", "first", null)];
});

afterEach(() => {
  vi.useRealTimers();
});

it("all of them, in their order", async () => {
  const { draw, stage } = stageAfter(0);
  const done = drawLost(GRAPH, stage);
  await vi.runAllTimersAsync();
  await done;
  expect(draw.mock.calls).toHaveLength(2);
});

it("but those that the server had, as it answers before they are drawn", async () => {
  const { draw, stage } = stageAfter(2);
  const done = drawLost(GRAPH, stage);
  await vi.advanceTimersByTimeAsync(150);
  const before = draw.mock.results.filter(({ value }) => value === true);
  expect(before).toHaveLength(0);
  state.value = "first";
  await vi.runAllTimersAsync();
  await done;
  expect(draw.mock.results.filter(({ value }) => value === true)).toHaveLength(1);
});
