import { describe, expect, test } from "vitest";
import { arrange, autoLayout } from "./arrange";
import { builtInTypes, galleryWorkflow } from "./fixtures";
import { edgesOf } from "./graph";
import { type Box, changeLayout, layoutOf } from "./layout";
import { around, boxAt, sizesOf, TALLEST_TEXT } from "./sizes";
import { readWorkflow, type Workflow, writeWorkflow } from "./workflow";

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

/** Every link leads to the right. */
function expectOneWay(placed: Workflow): void {
  const found = boxes(placed);
  for (const { from, to } of edgesOf(placed.nodes)) {
    const [a, b] = [found.get(from.node), found.get(to.node)];
    expect(a && b && a.x + a.width < b.x).toBe(true);
  }
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
    expectOneWay(placed);
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

describe("notes", () => {
  const said = (id: string, box: readonly number[]) => ({ id, text: id, box });
  const { ui, ...graph } = JSON.parse(writeWorkflow(grouped()));
  const under = boxes(grouped()).get("d");
  const bottom = (under?.y ?? 0) + (under?.height ?? 0);
  const notes = [
    said("above", [500, 20, 300, 40]),
    said("below", [1000, bottom + 20, 200, 60]),
    said("far", [100, 3000, 200, 60]),
  ];
  const placed = arrange(
    readWorkflow(JSON.stringify({ ...graph, ui: { ...ui, notes } })),
    null,
    types,
  );
  const boxOf = (id: string) => layoutOf(placed, null).notes.find((note) => note.id === id)?.box;

  test("go with the card that they stand at, and cover none", () => {
    const found = boxes(placed);
    const [b, d] = [found.get("b"), found.get("d")];
    expect([boxOf("above")?.x, boxOf("below")?.x]).toEqual([b?.x, d?.x]);
    expect(boxOf("above")?.y).toBeLessThan(b?.y ?? 0);
    expect(boxOf("below")?.y).toBeGreaterThan((d?.y ?? 0) + (d?.height ?? 0));
    for (const { box } of layoutOf(placed, null).notes) {
      expect([...found.values()].filter((card) => overlap(card, box))).toEqual([]);
    }
  });

  test("are in the group of that card, or stay where they are", () => {
    const group = layoutOf(placed, null).groups[0]?.box;
    expect(group?.y).toBeLessThan(boxOf("above")?.y ?? 0);
    expect(boxOf("far")).toEqual({ x: 100, y: 3000, width: 200, height: 60 });
  });
});

/** A chain of so many numbers, of which this many lead on to the last, too. */
function chain(length: number, beside = 0): Workflow {
  const nodes: Record<string, object> = {};
  for (let at = 0; at < length; at += 1) {
    nodes[`n${at}`] = { type: "Calculate", inputs: { a: at ? { from: `n${at - 1}` } : 1 } };
  }
  const ends = [...Array(beside).keys(), length - 1].map((at) => ({ from: `n${at}` }));
  nodes.last = {
    type: "List",
    inputs: Object.fromEntries(ends.map((link, at) => [`i${at}`, link])),
  };
  return readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));
}

describe("a long chain", () => {
  test("goes on in a line below, about as wide in all as a window", () => {
    const placed = arrange(chain(24), null, types);
    const all = [...boxes(placed).values()];
    const right = Math.max(...all.map((box) => box.x + box.width));
    const bottom = Math.max(...all.map((box) => box.y + box.height));
    expect(overlaps(placed)).toEqual([]);
    expect(right / bottom).toBeGreaterThan(1);
    expect(right / bottom).toBeLessThan(3);
  });

  test("goes on in a line below within a group, too", () => {
    const alone = arrange(chain(24), null, types);
    const all = around([...boxes(alone).values()]) ?? { x: 0, y: 0, width: 0, height: 0 };
    const box = { x: all.x - 30, y: all.y - 60, width: all.width + 60, height: all.height + 90 };
    const group = { id: "g", title: "Chain", box, color: "blue" };
    const held = changeLayout(alone, null, (layout) => ({ ...layout, groups: [group] }));
    const placed = arrange(held, null, types);
    const { width, height } = layoutOf(placed, null).groups[0]?.box ?? box;
    expect(overlaps(placed)).toEqual([]);
    expect(width / height).toBeLessThan(3);
  });

  test("stays one row where it is short, or where much would lead from line to line", () => {
    expectOneWay(arrange(chain(6), null, types));
    expectOneWay(arrange(chain(24, 6), null, types));
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
