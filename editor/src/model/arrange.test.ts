import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { align, arrange, autoLayout, distribute } from "./arrange";
import { builtInTypes, galleryWorkflow } from "./fixtures";
import { edgesOf } from "./graph";
import { type Box, layoutOf } from "./layout";
import { boxAt, sizesOf, TALLEST_TEXT } from "./sizes";
import { readWorkflow, type Workflow } from "./workflow";

const types = builtInTypes();

function boxes(workflow: Workflow): Map<string, Box> {
  const layout = layoutOf(workflow, null);
  const sizes = sizesOf(workflow, null, layout, types);
  return new Map(
    [...sizes].map(([name, size]) => [
      name,
      boxAt(layout.positions.get(name) ?? { x: 0, y: 0 }, size),
    ]),
  );
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function overlaps(workflow: Workflow): readonly string[] {
  const all = [...boxes(workflow)];
  return all.flatMap(([a, boxA], index) =>
    all.slice(index + 1).flatMap(([b, boxB]) => (overlap(boxA, boxB) ? [`${a} and ${b}`] : [])),
  );
}

describe.each([
  "text_to_image",
  "prompt_grid",
  "prompt_walk",
  "samplers_compared",
  "forward_diffusion",
])("%s", (name) => {
  const placed = arrange(galleryWorkflow(name), null, types);

  test("has no nodes on each other", () => {
    expect(overlaps(placed)).toEqual([]);
  });

  test("flows from left to right", () => {
    const found = boxes(placed);
    for (const { from, to } of edgesOf(placed.nodes)) {
      const [a, b] = [found.get(from.node), found.get(to.node)];
      expect(a && b && a.x + a.width < b.x).toBe(true);
    }
  });
});

test("a field with much text takes as much room as it is drawn with", () => {
  const workflow = galleryWorkflow("prompt_grid");
  const sizes = sizesOf(workflow, null, layoutOf(workflow, null), types);
  const height = sizes.get("prompts")?.height ?? 0;
  expect(height).toBeGreaterThan(TALLEST_TEXT + 36);
  expect(height).toBeLessThan(TALLEST_TEXT + 120);
});

function grouped(): Workflow {
  return readWorkflow(
    JSON.stringify({
      format: "nodegraph/1",
      nodes: {
        a: { type: "LoadModel" },
        b: { type: "EncodePrompt", inputs: { encoder: { from: "a.text_encoder" } } },
        c: { type: "EncodePrompt", inputs: { encoder: { from: "a.text_encoder" } } },
        d: { type: "KSampler", inputs: { positive: { from: "b" }, negative: { from: "c" } } },
      },
      ui: {
        positions: { a: [100, 100], b: [500, 100], c: [500, 400], d: [1000, 100] },
        groups: [{ id: "g", title: "Prompts", box: [480, 60, 400, 700] }],
      },
    }),
  );
}

describe("groups", () => {
  const placed = arrange(grouped(), null, types);

  test("are drawn around those that they held, and around no others", () => {
    const group = layoutOf(placed, null).groups[0];
    const found = boxes(placed);
    const inside = [...found]
      .filter(([, box]) => group && overlap(box, group.box))
      .map(([name]) => name);
    expect(inside).toEqual(["b", "c"]);
  });

  test("leave the corner of all where it was", () => {
    const all = [...boxes(placed).values()];
    expect(Math.min(...all.map((box) => box.x))).toBe(100);
    expect(Math.min(...all.map((box) => box.y))).toBe(100);
  });
});

test("only the chosen nodes are placed", () => {
  expect([...autoLayout(grouped(), null, types, new Map(), ["b", "c"]).keys()]).toEqual(["b", "c"]);
});

test("a circle and an unknown type are placed, too", () => {
  const workflow = readWorkflow(
    JSON.stringify({
      format: "nodegraph/1",
      nodes: {
        a: { type: "no:Such", inputs: { x: { from: "b" } } },
        b: { type: "Length", inputs: { items: { from: "a" } } },
      },
    }),
  );
  expect(autoLayout(workflow, null, types).size).toBe(2);
});

test("five hundred nodes are placed in good time", () => {
  const nodes: Record<string, object> = {};
  for (let index = 0; index < 500; index += 1) {
    const from = index === 0 ? 1 : { from: `n${Math.max(0, index - 1 - (index % 7))}` };
    nodes[`n${index}`] = { type: "Calculate", inputs: { a: from } };
  }
  const workflow = readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));
  expect(overlaps(arrange(workflow, null, types))).toEqual([]);
}, 20_000);

const some = new Map<string, Box>([
  ["a", { x: 0, y: 0, width: 100, height: 50 }],
  ["b", { x: 150, y: 40, width: 60, height: 80 }],
  ["c", { x: 400, y: 10, width: 40, height: 40 }],
]);

test("boxes stand in line", () => {
  expect(align(some, "left").get("c")).toEqual({ x: 0, y: 10 });
  expect(align(some, "right").get("a")).toEqual({ x: 340, y: 0 });
  expect(align(some, "bottom").get("a")).toEqual({ x: 0, y: 70 });
  expect(align(some, "middle").get("a")).toEqual({ x: 0, y: 35 });
});

test("gaps become even, and the ends stay", () => {
  const placed = distribute(some, "horizontal");
  expect(placed.get("a")?.x).toBe(0);
  expect(placed.get("b")?.x).toBe(220);
  expect(placed.get("c")?.x).toBe(400);
});

test("distributing twice changes nothing more", () => {
  const box = fc.record({
    x: fc.integer({ min: -500, max: 500 }),
    y: fc.integer({ min: -500, max: 500 }),
    width: fc.integer({ min: 1, max: 200 }),
    height: fc.integer({ min: 1, max: 200 }),
  });
  fc.assert(
    fc.property(fc.array(box, { minLength: 2, maxLength: 8 }), (items) => {
      const before = new Map(items.map((item, index) => [`n${index}`, item]));
      const once = distribute(before, "vertical");
      const moved = new Map(
        [...before].map(([name, item]) => [name, { ...item, ...once.get(name) }]),
      );
      const twice = distribute(moved, "vertical");
      for (const [name, at] of once) {
        expect(Math.abs((twice.get(name)?.y ?? NaN) - at.y)).toBeLessThanOrEqual(items.length);
      }
    }),
  );
});
