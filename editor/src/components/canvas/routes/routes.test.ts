import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { Adapter } from "@/components/canvas/adapt";
import { scene, workflow } from "@/components/canvas/fixture";
import { polyline } from "@/components/canvas/links/path";
import { moveItems, moveReroute } from "@/model/edits";
import type { Edge } from "@/model/graph";
import { type Box, layoutOf, type Point } from "@/model/layout";
import { readWorkflow, type Workflow, writeWorkflow } from "@/model/workflow";
import { isBehind } from "./clearance";
import { routesAround, type Standing, withRoutes, withRoutesAnew } from "./routes";

const CARD = { width: 240, height: 200 };
const COLUMN = 320;

/** Cards in a row, with links over `spans` columns from each. */
function row(count: number, spans: readonly number[]) {
  const boxes = new Map<string, Box>();
  for (let index = 0; index < count; index += 1)
    boxes.set(`c${index}`, { x: index * COLUMN, y: (index % 3) * 40, ...CARD });
  const edges: Edge[] = [];
  for (let index = 0; index < count; index += 1)
    for (const span of spans.filter((each) => index + each < count)) {
      const to = { node: `c${index + span}`, port: `p${span}` };
      edges.push({ id: `${to.node}.${to.port}`, from: { node: `c${index}`, port: "" }, to });
    }
  return { boxes, edges };
}

function ends(boxes: ReadonlyMap<string, Box>, { from, to }: Edge) {
  const [a, b] = [boxes.get(from.node) as Box, boxes.get(to.node) as Box];
  return { from: { x: a.x + a.width, y: a.y + 52 }, to: { x: b.x, y: b.y + 76 } };
}

test.each(["curve", "straight", "step"] as const)("no %s link runs behind a card", (style) => {
  const { boxes, edges } = row(8, [1, 2, 3, 5]);
  const found = routesAround(edges, boxes, (edge) => ends(boxes, edge), style);
  for (const edge of edges) {
    const { from, to } = ends(boxes, edge);
    const points: readonly Point[] = [from, ...(found.get(edge.id) ?? []), to];
    const others = [...boxes].flatMap(([name, box]) =>
      name === edge.from.node || name === edge.to.node ? [] : [box],
    );
    expect(isBehind(polyline(style, points), others), edge.id).toBe(false);
  }
});

const size = {
  width: fc.integer({ min: 160, max: 420 }),
  height: fc.integer({ min: 60, max: 700 }),
};

/** Each below the last one of its column, which is wider than any card. */
function inColumns(
  drawn: readonly { column: number; gap: number; width: number; height: number }[],
): ReadonlyMap<string, Box> {
  const bottoms = new Map<number, number>();
  return new Map(
    drawn.map(({ column, gap, width, height }, index) => {
      const y = (bottoms.get(column) ?? 0) + gap;
      bottoms.set(column, y + height);
      return [`c${index}`, { x: column * 500, y, width, height }];
    }),
  );
}

/** Those that leave a link's width between them and the ones before. */
function anywhere(drawn: readonly Box[]): ReadonlyMap<string, Box> {
  const gap = 40;
  const isApart = (a: Box, b: Box) => a.x + a.width + gap <= b.x || a.y + a.height + gap <= b.y;
  const placed: Box[] = [];
  for (const box of drawn)
    if (placed.every((other) => isApart(box, other) || isApart(other, box))) placed.push(box);
  return new Map(placed.map((box, index) => [`c${index}`, box]));
}

const column = fc.record({ column: fc.nat(6), gap: fc.integer({ min: 40, max: 300 }), ...size });
const place = fc.record({ x: fc.nat(3000), y: fc.nat(2200), ...size });
const LAYOUTS = {
  columns: fc.array(column, { minLength: 3, maxLength: 30 }).map(inColumns),
  "a free layout": fc.array(place, { minLength: 80, maxLength: 150 }).map(anywhere),
};

describe.each(["columns", "a free layout"] as const)(
  "in %s, where each link has a free way",
  (kind) => {
    const links = fc.array(fc.tuple(fc.nat(99), fc.nat(99), fc.nat(10), fc.nat(10)), {
      minLength: 1,
      maxLength: 20,
    });

    test.each(["curve", "straight", "step"] as const)("no %s link runs behind a card", (style) => {
      fc.assert(
        fc.property(LAYOUTS[kind], links, (boxes, joined) => {
          const names = [...boxes.keys()];
          const rows = new Map<string, readonly [number, number]>();
          const edges = joined.flatMap(([a, b, output, input], index): Edge[] => {
            const [source = "", target = ""] = [names[a % names.length], names[b % names.length]];
            const to = { node: target, port: `p${index}` };
            const id = `${to.node}.${to.port}`;
            rows.set(id, [output, input]);
            return source === target ? [] : [{ id, from: { node: source, port: "" }, to }];
          });
          const endsOf = (edge: Edge) => {
            const [a, b] = [boxes.get(edge.from.node), boxes.get(edge.to.node)] as [Box, Box];
            const [output, input] = rows.get(edge.id) ?? [0, 0];
            return {
              from: { x: a.x + a.width, y: a.y + Math.min(a.height - 10, 52 + 22 * output) },
              to: { x: b.x, y: b.y + Math.min(b.height - 10, 52 + 22 * input) },
            };
          };
          const found = routesAround(edges, boxes, endsOf, style);
          for (const edge of edges) {
            const { from, to } = endsOf(edge);
            const line = polyline(style, [from, ...(found.get(edge.id) ?? []), to]);
            const others = names.filter((name) => name !== edge.from.node && name !== edge.to.node);
            const behind = others.filter((name) => isBehind(line, [boxes.get(name) as Box]));
            expect(behind, edge.id).toEqual([]);
          }
        }),
        { numRuns: 60 },
      );
    });
  },
);

test("a link with nothing in its way has no points", () => {
  const { boxes, edges } = row(4, [1]);
  expect(routesAround(edges, boxes, (edge) => ends(boxes, edge), "curve").size).toBe(0);
});

test("links that go the same way don't lie on each other", () => {
  const { boxes } = row(6, []);
  const edges: Edge[] = Array.from({ length: 12 }, (_, index) => {
    const to = { node: "c5", port: `p${index}` };
    return { id: `c5.p${index}`, from: { node: "c0", port: "" }, to };
  });
  const found = routesAround(edges, boxes, (edge) => ends(boxes, edge), "curve");
  const levels = [...found.values()].map((points) => points[0]?.y);
  expect(new Set(levels).size).toBe(12);
});

test("a way through hundreds of cards is found without looking at each of them for each turn", () => {
  const { boxes, edges } = row(500, [400]);
  let looks = 0;
  const counted = new Map(
    [...boxes].map(([name, box]) => {
      const { x, ...rest } = box;
      const seen = Object.defineProperty({ ...rest } as Box, "x", {
        get: () => {
          looks += 1;
          return x;
        },
      });
      return [name, seen];
    }),
  );
  const some = edges.slice(0, 5);
  expect(routesAround(some, counted, (edge) => ends(boxes, edge), "curve").size).toBe(5);
  expect(looks / some.length).toBeLessThan(100 * boxes.size);
});

describe("after cards have moved, a link", () => {
  const EDGE = "sample.model";
  const places = {
    load: [0, 0],
    text: [320, 0],
    sample: [640, 0],
    count: [0, 400],
    scale: [960, 0],
  };
  const isBehindText = (of: Workflow) => {
    const all = standing(of);
    const [load, text, sample] = ["load", "text", "sample"].map(
      (name) => all.get(name) as Standing,
    );
    if (!load || !text || !sample) throw new Error("not there");
    const from = { x: load.box.x + load.box.width, y: load.box.y + 52 };
    const to = { x: sample.box.x, y: sample.box.y + 52 };
    return isBehind(polyline("curve", [from, ...pointsOf(of), to]), [text.box]);
  };
  const placed = moveItems(
    workflow(),
    null,
    new Map(Object.entries(places).map(([name, [x = 0, y = 0]]) => [name, { x, y }])),
  );
  const led = withRoutes(placed, null, standing(placed), "curve");

  function pointsOf(of: Workflow): readonly Point[] {
    return layoutOf(of, null).reroutes.get(EDGE) ?? [];
  }

  function standing(of: Workflow): ReadonlyMap<string, Standing> {
    const adapter = new Adapter();
    const found = new Map<string, Standing>();
    for (const [name, at] of layoutOf(of, null).positions) {
      const card = adapter.card(name, scene(of));
      if (card) found.set(name, { card, box: { ...at, ...CARD }, collapsed: false });
    }
    return found;
  }

  function moved(of: Workflow, name: string, at: Point): Workflow {
    const found = moveItems(of, null, new Map([[name, at]]));
    return withRoutesAnew(found, null, standing(found), "curve", new Set([name]));
  }

  it("runs straight where nothing is in its way any more, and around what comes back", () => {
    expect(pointsOf(led)).not.toEqual([]);
    const away = moved(led, "sample", { x: 320, y: 400 });
    expect(pointsOf(away)).toEqual([]);
    const back = moved(away, "sample", { x: 640, y: 0 });
    expect(pointsOf(back)).toEqual(pointsOf(led));
  });

  it("runs around the card that was put in its way", () => {
    const y = pointsOf(led)[0]?.y ?? 0;
    const found = moved(led, "text", { x: 320, y: y - CARD.height / 2 });
    expect(isBehindText(found)).toBe(false);
    expect(pointsOf(found)).not.toEqual(pointsOf(led));
  });

  it("that has no points gets some where a card was put in its way", () => {
    const other = "scale.latent";
    expect(layoutOf(led, null).reroutes.has(other)).toBe(false);
    const apart = moved(led, "scale", { x: 1280, y: 0 });
    expect(layoutOf(apart, null).reroutes.has(other)).toBe(false);
    const found = moved(apart, "count", { x: 960, y: 0 });
    expect(layoutOf(found, null).reroutes.get(other)?.length).toBeGreaterThan(0);
  });

  it("is led also in a graph that needed no points when it was placed", () => {
    const places = new Map([...layoutOf(placed, null).positions].map(([id, at]) => [id, at]));
    const free = moveItems(placed, null, places.set("text", { x: 320, y: 800 }));
    const straight = withRoutes(free, null, standing(free), "curve");
    expect(pointsOf(straight)).toEqual([]);
    expect(pointsOf(moved(straight, "count", { x: 320, y: 0 }))).not.toEqual([]);
    // In one that somebody has drawn, nothing is written: ways are only drawn there.
    expect(pointsOf(moved(free, "count", { x: 320, y: 0 }))).toEqual([]);
  });

  it("keeps points that somebody has put", () => {
    const by = moveReroute(led, null, EDGE, 0, { x: 300, y: -90 });
    const found = moved(by, "sample", { x: 320, y: 400 });
    expect(pointsOf(found)).toEqual(pointsOf(by));
  });

  it("is led by itself still when it comes from a file", () => {
    const read = readWorkflow(writeWorkflow(led));
    expect(pointsOf(read)).toEqual(pointsOf(led));
    expect(pointsOf(moved(read, "sample", { x: 320, y: 400 }))).toEqual([]);
  });

  it("stays so when all of it is moved", () => {
    const by = { x: 50, y: 70 };
    const all = [...layoutOf(led, null).positions].map(([name, at]) => [name, at] as const);
    const points = pointsOf(led).map((at, index) => [`reroute/${EDGE}/${index}`, at] as const);
    const to = [...all, ...points].map(
      ([id, { x, y }]) => [id, { x: x + by.x, y: y + by.y }] as const,
    );
    const shifted = moveItems(led, null, new Map(to));
    expect(pointsOf(moved(shifted, "sample", { x: 370, y: 470 }))).toEqual([]);
  });
});

test("a link to the beginning of a line below goes level between the lines", () => {
  const box = (x: number, y: number): Box => ({ x, y, width: 200, height: 100 });
  const boxes = new Map(
    Object.entries({ a: box(0, 0), b: box(300, 0), c: box(0, 200), d: box(300, 200) }),
  );
  const edge = { id: "c.in", from: { node: "b", port: "" }, to: { node: "c", port: "in" } };
  const back = { from: { x: 500, y: 50 }, to: { x: 0, y: 250 } };
  const [turn, end] = routesAround([edge], boxes, () => back, "curve").get("c.in") ?? [];
  expect(turn?.x).toBeGreaterThan(500);
  expect(end?.x).toBeLessThan(0);
  expect(turn?.y).toBe(end?.y);
  expect(turn?.y).toBeGreaterThan(100);
  expect(turn?.y).toBeLessThan(200);
});
