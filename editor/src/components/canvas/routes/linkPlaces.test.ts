import { describe, expect, it } from "vitest";
import type { CanvasEdge, CanvasNode } from "@/components/canvas/adapt";
import { handleAt } from "@/components/canvas/card/handles";
import { linesAcross, linesOf, linksUnder, linksWithin, placesOf, pointsOf } from "./linkPlaces";

const nodes = [
  { id: "a", position: { x: 0, y: 0 }, handles: [handleAt("out", "source", 100, 20)] },
  { id: "b", position: { x: 300, y: 200 }, handles: [handleAt("in", "target", 0, 20)] },
] as unknown as CanvasNode[];
const edge = {
  id: "edge/b.in",
  source: "a",
  sourceHandle: "out",
  target: "b",
  targetHandle: "in",
  data: { points: [] },
} as unknown as CanvasEdge;
const places = placesOf(nodes);

describe("a link", () => {
  it("runs from dot to dot", () => {
    expect(pointsOf(places, edge)).toEqual([
      { x: 107, y: 20 },
      { x: 293, y: 220 },
    ]);
    expect(pointsOf(places, { ...edge, targetHandle: "other" })).toBeNull();
  });

  it.each(["curve", "step", "straight"] as const)("that is a %s is found on its way", (style) => {
    const at = (x: number, y: number) => linksWithin([edge], places, style, { x, y }, 8);
    expect(at(200, 120)).toEqual([edge]);
    expect(at(108, 22)).toEqual([edge]);
    expect(at(250, 60)).toEqual([]);
    expect(at(320, 220)).toEqual([]);
  });

  it.each(["curve", "step", "straight"] as const)("that is a %s is met across its way", (style) => {
    const across = (x: number, y: number, right: number, bottom: number) =>
      linesAcross(linesOf([edge], places, style), { x, y }, { x: right, y: bottom });
    expect(across(200, 0, 200, 300)).toEqual([edge.id]);
    expect(across(0, 120, 400, 130)).toEqual([edge.id]);
    expect(across(200, 0, 200, 15)).toEqual([]);
    expect(across(-80, 20, 60, 20)).toEqual([]);
  });

  it.each(["curve", "step", "straight"] as const)(
    "that is a %s is under what lies on it",
    (style) => {
      const under = (x: number, y: number, width = 160, height = 80) =>
        linksUnder([edge], places, style, { x, y, width, height });
      // Wholly, by a corner, by an edge, at its end, and within a piece of it.
      expect(under(120, 80)).toEqual([edge]);
      expect(under(190, 110)).toEqual([edge]);
      expect(under(60, -60, 70, 300)).toEqual([edge]);
      expect(under(290, 215)).toEqual([edge]);
      expect(under(197, 117, 6, 6)).toEqual([edge]);
      expect(under(220, 20, 70, 40)).toEqual([]);
      expect(under(20, 60, 100, 160)).toEqual([]);
      expect(under(300, 120)).toEqual([]);
    },
  );

  it("is under a box before others that run further from its middle", () => {
    const low = { ...edge, id: "edge/c.in", data: { points: [{ x: 200, y: 190 }] } };
    const edges = [edge, low as unknown as CanvasEdge];
    const first = (y: number) =>
      linksUnder(edges, places, "straight", { x: 150, y, width: 100, height: 140 })[0]?.id;
    expect(first(60)).toBe(edge.id);
    expect(first(120)).toBe(low.id);
  });

  it("is found through its points", () => {
    const led = { ...edge, data: { points: [{ x: 200, y: 400 }] } } as unknown as CanvasEdge;
    expect(linksWithin([led], places, "curve", { x: 202, y: 398 }, 8)).toEqual([led]);
    expect(linksWithin([led], places, "straight", { x: 200, y: 120 }, 8)).toEqual([]);
  });
});
