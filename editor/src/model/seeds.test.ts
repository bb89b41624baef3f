import fc from "fast-check";
import { expect, test } from "vitest";
import { builtInTypes } from "./fixtures";
import { ExactNumber, integerFromText } from "./json";
import { drawSeed, LARGEST_DRAWN, nextSeed, seedModeOf, seedSeries, withNextSeeds } from "./seeds";
import { readWorkflow } from "./workflow";

const half = () => 0.5;

test("each mode gives the next seed", () => {
  expect(nextSeed("fixed", 7, half)).toBe(7);
  expect(nextSeed("increment", 7, half)).toBe(8);
  expect(nextSeed("decrement", 7, half)).toBe(6);
  expect(nextSeed("random", 7, half)).toBe(2 ** 52 + 2 ** 30);
});

test("counting is exact beyond what JavaScript holds, and goes round at the ends", () => {
  const large = integerFromText("18446744073709551614") ?? 0;
  const next = nextSeed("increment", large, half);
  expect(next).toEqual(new ExactNumber("18446744073709551615"));
  expect(nextSeed("increment", next, half)).toBe(0);
  expect(nextSeed("decrement", 0, half)).toEqual(new ExactNumber("18446744073709551615"));
});

test("drawn seeds are whole and exact everywhere", () => {
  const part = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(part, (value) => {
      const seed = drawSeed(() => value);
      expect(Number.isSafeInteger(seed)).toBe(true);
      expect(seed).toBeGreaterThanOrEqual(0);
      expect(seed).toBeLessThanOrEqual(LARGEST_DRAWN);
    }),
  );
});

test("a sweep counts up from the seed", () => {
  expect(seedSeries("increment", 5, 3, half)).toEqual([5, 6, 7]);
});

const workflow = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    nodes: {
      a: { type: "KSampler", inputs: { seed: 7 } },
      b: { type: "KSampler" },
      c: { type: "KSampler", inputs: { seed: { from: "d" } } },
    },
    subgraphs: { block: { nodes: { inner: { type: "KSampler", inputs: { seed: 9 } } } } },
    ui: {
      seeds: {
        "a.seed": "increment",
        "b.seed": "increment",
        "c.seed": "random",
        "gone.seed": "random",
      },
      subgraphs: { block: { seeds: { "inner.seed": "decrement" } } },
    },
  }),
);

test("before a run the seeds of all graphs move on, defaults and blocks included", () => {
  const next = withNextSeeds(workflow, builtInTypes(), half);
  expect(next.nodes.get("a")?.inputs.get("seed")).toBe(8);
  expect(next.nodes.get("b")?.inputs.get("seed")).toBe(1);
  expect(next.nodes.get("c")).toBe(workflow.nodes.get("c"));
  expect(next.subgraphs.get("block")?.nodes.get("inner")?.inputs.get("seed")).toBe(8);
});

test("a workflow of fixed seeds stays the same object", () => {
  const fixed = { ...workflow, ui: new Map() };
  expect(withNextSeeds(fixed, null, half)).toBe(fixed);
  expect(seedModeOf(fixed, null, "a.seed")).toBe("fixed");
  expect(seedModeOf(workflow, "block", "inner.seed")).toBe("decrement");
});
