import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { boundsOf } from "@/components/canvas/card/geometry";
import { stateOf } from "@/components/canvas/card/live";
import { firstViewport, viewportFor } from "@/components/canvas/controller";
import { TYPES, workflow } from "@/components/canvas/fixture";
import { indexFor, lineThrough } from "@/components/canvas/links/path";
import type { ShownRun } from "@/hooks/useNodeRun";
import { type Box, layoutOf } from "@/model/layout";
import { readWorkflow } from "@/model/workflow";
import type { NodeRun, NodeState } from "@/store/nodeRuns";
import { nearest, neighbour, readingOrder } from "./order";
import { placeAll } from "./placement";

const SIZE = { width: 200, height: 100 };
const box = (x: number, y: number) => ({ x, y, ...SIZE });

describe("places", () => {
  it("are given to all, each right of what feeds it, and kept", () => {
    const placed = placeAll(workflow(), null, TYPES, () => SIZE);
    const { positions } = layoutOf(placed, null);
    const x = (name: string) => positions.get(name)?.x ?? Number.NaN;
    expect(positions.size).toBe(workflow().nodes.size);
    expect(x("load")).toBeLessThan(x("text"));
    expect(x("text")).toBeLessThan(x("sample"));
    expect(placeAll(placed, null, TYPES, () => SIZE)).toBe(placed);
  });

  it("of new nodes are clear of the others, and right of what they take from", () => {
    const placed = placeAll(workflow(), null, TYPES, () => SIZE);
    const layout = layoutOf(placed, null);
    const some = new Map(layout.positions);
    some.delete("scale");
    const without = {
      ...placed,
      ui: new Map([["positions", new Map([...some].map(([n, p]) => [n, [p.x, p.y]]))]]),
    };
    const again = layoutOf(
      placeAll(without, null, TYPES, () => SIZE),
      null,
    );
    const lowest = Math.max(...[...some.values()].map((at) => at.y));
    expect(again.positions.get("scale")?.y).toBeGreaterThan(lowest);
    const fed = some.get("sample")?.x ?? Number.NaN;
    expect(again.positions.get("scale")?.x).toBeGreaterThanOrEqual(fed + SIZE.width);
  });
});

describe("the view", () => {
  it("fits a box into the screen's middle, never larger than life", () => {
    const view = viewportFor(box(100, 100), { width: 1000, height: 500 });
    expect(view).toEqual({ x: 300, y: 100, zoom: 1 });
    expect(
      viewportFor({ x: 0, y: 0, width: 10_000, height: 10 }, { width: 1000, height: 500 }).zoom,
    ).toBeLessThan(0.1);
  });

  it("begins with cards in sight, also where what is leftmost lies far below", () => {
    vi.stubGlobal("matchMedia", () => ({ matches: false }));
    const screen = { width: 1000, height: 500 };
    const { x, y, zoom } = firstViewport([box(0, 1500), box(2000, 0)], screen);
    expect(zoom).toBe(0.84);
    expect(x).toBeGreaterThan(0);
    expect(1500 * zoom + y).toBeGreaterThan(0);
    expect(1500 * zoom + y).toBeLessThan(screen.height / 2);
  });

  it("begins where most of the cards are, and not at one that lies far above them", () => {
    vi.stubGlobal("matchMedia", () => ({ matches: false }));
    const boxes = [box(600, 0), box(0, 900), box(300, 900), box(300, 1050), box(4000, 0)];
    const { y, zoom } = firstViewport(boxes, { width: 1000, height: 500 });
    expect(900 * zoom + y).toBeGreaterThan(0);
    expect(1150 * zoom + y).toBeLessThan(500);
    const even = [box(0, 0), box(300, 0), box(0, 700), box(300, 700), box(300, 900), box(4000, 0)];
    expect(firstViewport(even, { width: 1000, height: 500 }).y).toBeGreaterThanOrEqual(0);
  });

  it("fills the window with a small graph, larger than life if there is room", () => {
    vi.stubGlobal("matchMedia", () => ({ matches: false }));
    const { zoom } = firstViewport([box(0, 0), box(300, 0)], { width: 600, height: 500 });
    expect(zoom).toBeCloseTo(1.116);
    expect(firstViewport([box(0, 0)], { width: 3000, height: 2000 }).zoom).toBe(1.25);
  });

  it("knows the box around boxes, and none of none", () => {
    expect(boundsOf([box(0, 0), box(300, -50)])).toEqual({ x: 0, y: -50, width: 500, height: 150 });
    expect(boundsOf([])).toBeNull();
  });
});

describe("going from card to card", () => {
  const boxes = new Map([
    ["b", box(10, 200)],
    ["a", box(0, 0)],
    ["c", box(400, 0)],
  ]);

  it("goes by columns, each from the top", () => {
    expect(readingOrder(boxes)).toEqual(["a", "b", "c"]);
    expect(neighbour(["a", "b"], "b", 1)).toBeNull();
    expect(neighbour(["a", "b"], "b", -1)).toBe("a");
  });

  it("goes to the nearest in a direction", () => {
    expect(nearest(boxes, "a", 1, 0)).toBe("c");
    expect(nearest(boxes, "a", 0, 1)).toBe("b");
    expect(nearest(boxes, "a", -1, 0)).toBeNull();
  });
});

describe("places for very many nodes", () => {
  const chain = (count: number, length: number, shared: boolean) =>
    readWorkflow(
      JSON.stringify({
        format: "nodegraph/1",
        nodes: Object.fromEntries(
          Array.from({ length: count }, (_, index) => {
            const before = index % length === 0 ? (shared ? "n0" : null) : `n${index - 1}`;
            const inputs = before === null || index === 0 ? {} : { latent: { from: before } };
            return [`n${index}`, { type: "Scale", inputs }];
          }),
        ),
      }),
    );

  it.each([
    ["500 that nothing joins", 500, 1, false],
    ["2,000 that nothing joins", 2000, 1, false],
    ["500 that take from one", 500, 1, true],
    ["500 one after the other", 500, 500, false],
    ["2,000 in fives", 2000, 5, false],
    ["2,000 in fives that take from one", 2000, 5, true],
  ])("are about as wide and high as a window: %s", (_, count, length, shared) => {
    const placed = placeAll(chain(count, length, shared), null, TYPES, () => SIZE);
    const { positions } = layoutOf(placed, null);
    const boxes = [...positions.values()].map(({ x, y }) => box(x, y));
    const bounds = boundsOf(boxes) ?? box(0, 0);
    expect(bounds.width / bounds.height).toBeGreaterThan(0.5);
    expect(bounds.width / bounds.height).toBeLessThan(5);
    const area = count * SIZE.width * SIZE.height;
    expect(area / (bounds.width * bounds.height)).toBeGreaterThan(0.15);
    expect(boxes.length).toBe(count);
    expect(boxes.some((a, at) => boxes.slice(at + 1).some((b) => isOn(a, b)))).toBe(false);
  });
});

describe("places that a file doesn't give", () => {
  const links = fc.array(fc.nat(4000), { maxLength: 400 });
  const sides = fc.array(fc.integer({ min: 36, max: 900 }), { minLength: 1, maxLength: 20 });

  it("lie on no others, however many there are and however they are linked", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), links, sides, (count, drawn, heights) => {
        const sources = Array.from({ length: count }, (_, index) => {
          const drawnTo = drawn[index];
          return drawnTo === undefined || index === 0 ? null : drawnTo % (index + 1);
        });
        const nodes = Object.fromEntries(
          sources.map((from, index) => {
            const inputs = from === null || from === index ? {} : { latent: { from: `n${from}` } };
            return [`n${index}`, { type: "Scale", inputs }];
          }),
        );
        const graph = readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));
        const sizeOf = (name: string) => {
          const height = heights[Number(name.slice(1)) % heights.length] ?? 100;
          return { width: 150 + (height % 200), height };
        };
        const { positions } = layoutOf(placeAll(graph, null, TYPES, sizeOf), null);
        const boxes = [...positions].map(([name, at]) => ({ ...at, ...sizeOf(name) }));
        expect(boxes.length).toBe(count);
        expect(boxes.filter((a, at) => boxes.slice(at + 1).some((b) => isOn(a, b)))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

function isOn(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

describe("lines", () => {
  it("begin and end at their ends in every style", () => {
    for (const style of ["curve", "straight", "step"] as const) {
      const { d } = lineThrough(style, [
        { x: 1, y: 2 },
        { x: 50, y: 60 },
        { x: 9, y: 30 },
      ]);
      expect(d.startsWith("M1 2")).toBe(true);
      expect(d.endsWith("9 30")).toBe(true);
    }
  });

  it("take a new point where it lies", () => {
    const points = [
      { x: 0, y: 0 },
      { x: 100, y: 0 },
      { x: 200, y: 0 },
    ];
    expect(indexFor(points, { x: 150, y: 5 })).toBe(1);
  });
});

describe("the state of a card", () => {
  const run = (state: NodeState): NodeRun => ({
    state,
    step: null,
    total: null,
    secondsLeft: null,
    seconds: null,
    preview: null,
    plot: null,
    problem: null,
    calls: null,
    note: null,
  });
  const plan = (status: "run" | "hit" | "lazy", reason = "") => ({
    status,
    seconds: 1,
    reason,
    certain: true,
    calls: 1,
    files: [],
    shortage: null,
  });

  const shown = (state: NodeState | null, about: Partial<ShownRun> = {}): ShownRun => ({
    run: state && run(state),
    active: false,
    isOutdated: false,
    ...about,
  });

  it("is the run's while it goes on, and the plan's before", () => {
    expect(stateOf(shown("running", { active: true }), plan("run"))).toBe("running");
    expect(stateOf(shown(null), plan("run"))).toBe("planned");
    expect(stateOf(shown(null), plan("hit"))).toBe("cached");
    expect(stateOf(shown(null), plan("lazy"))).toBe("lazy");
  });

  it("is stale once what was done would be done anew", () => {
    expect(stateOf(shown("done"), plan("run"))).toBe("stale");
    expect(stateOf(shown("done"), plan("hit"))).toBe("done");
  });

  it("isn't called changed where it runs each time", () => {
    expect(stateOf(shown("done"), plan("run", "sink"))).toBe("planned");
    expect(stateOf(shown("done"), plan("run", "upstream"))).toBe("stale");
  });

  it("stays failed until it would come from the cache, or an edit reaches it", () => {
    expect(stateOf(shown("failed"), plan("run"))).toBe("failed");
    expect(stateOf(shown("failed"), plan("hit"))).toBe("cached");
    expect(stateOf(shown("failed", { isOutdated: true }), plan("run"))).toBe("stale");
  });

  it("is what it did last where no plan tells of it, unless it has other values now", () => {
    expect(stateOf(shown("cached"), null)).toBe("cached");
    expect(stateOf(shown("cached", { isOutdated: true }), null)).toBe("none");
    expect(stateOf(shown("failed", { isOutdated: true }), null)).toBe("none");
    expect(stateOf(shown("done"), null, true)).toBe("none");
  });

  it("is nothing where nothing is known", () => {
    expect(stateOf(shown(null), null)).toBe("none");
  });
});
