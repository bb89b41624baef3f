import { expect, test } from "vitest";
import type { CanvasEdge, CanvasNode } from "@/components/canvas/adapt";
import { handleAt } from "@/components/canvas/card/handles";
import type { Point } from "@/model/layout";
import { Ways } from "./ways";

const card = (id: string, x: number, y: number) =>
  ({
    id,
    type: "card",
    position: { x, y },
    width: 200,
    initialHeight: 120,
    handles: [handleAt("in", "target", 0, 40), handleAt("out", "source", 200, 40)],
  }) as unknown as CanvasNode;
const link = (source: string, target: string, points: readonly Point[] = []) =>
  ({
    id: `edge/${target}.in`,
    source,
    sourceHandle: "out",
    target,
    targetHandle: "in",
    data: { points, end: null },
  }) as unknown as CanvasEdge;

const edges = [link("a", "c")];
const lead = (ways: Ways, nodes: readonly CanvasNode[], links = edges, measured = new Map()) =>
  ways.lead(links, nodes, measured, "curve");
const pointsOf = (led: readonly CanvasEdge[]) => led[0]?.data?.points ?? [];
const nodes = [card("a", 0, 0), card("b", 300, 0), card("c", 600, 0)];

test("a link runs around a card between its ends, wherever somebody put it", () => {
  const ways = new Ways();
  const led = lead(ways, nodes);
  const [{ y } = { y: 60 }] = pointsOf(led);
  expect(y < 0 || y > 120).toBe(true);
  const away = lead(ways, [card("a", 0, 0), card("b", 300, 400), card("c", 600, 0)]);
  expect(away).toEqual(edges);
  expect(pointsOf(lead(ways, nodes))).toEqual(pointsOf(led));
});

test("what is far from a way leaves it the same object", () => {
  const ways = new Ways();
  const led = lead(ways, nodes);
  const after = lead(ways, [...nodes, card("d", 1200, 800)]);
  expect(after[0]).toBe(led[0]);
});

test("points that somebody put stay", () => {
  const own = [link("a", "c", [{ x: 400, y: 60 }])];
  expect(lead(new Ways(), nodes, own)).toEqual(own);
});

test("a card that is drawn higher than it was thought is in the way as well", () => {
  const low = [card("a", 0, 0), card("b", 300, -200), card("c", 600, 0)];
  const ways = new Ways();
  expect(pointsOf(lead(ways, low))).toEqual([]);
  const measured = new Map([["b", { width: 200, height: 320 }]]);
  expect(pointsOf(lead(ways, low, edges, measured))).not.toEqual([]);
});
