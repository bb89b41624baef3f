import { expect, it } from "vitest";
import { placeBeside, stepOf } from "./stepping";
import type { PaintCanvas, PaintEntry } from "./types";

const look = { kind: "raster", opacity: 1, mode: "normal", visible: true } as const;

function layer(node: string, parent: string | null = null): PaintEntry {
  const placement = { x: 0, y: 0, width: 0, height: 0, rotation: 0 };
  return {
    ...look,
    node,
    parent,
    title: node,
    picture: null,
    source: null,
    placement,
    locked: false,
    alphaLocked: false,
  };
}

/** Bottom first: a, a group of b and c, another group of d. */
const CANVAS: PaintCanvas = {
  box: { node: "box", x: 0, y: 0, width: 64, height: 64, sampledWidth: 0, sampledHeight: 0 },
  entries: [
    layer("a"),
    layer("b", "group"),
    layer("c", "group"),
    { ...look, node: "group", parent: null, title: "group" },
    layer("d", "other"),
    { ...look, node: "other", parent: null, title: "other" },
  ],
  boxes: ["box"],
  sampler: null,
  prompt: null,
  result: null,
};

it.each([
  ["a", 1, { parent: "group", index: 0 }],
  ["a", -1, null],
  ["b", 1, { parent: "group", index: 1 }],
  ["b", -1, { parent: null, index: 1 }],
  ["c", 1, { parent: null, index: 2 }],
  ["d", -1, { parent: null, index: 2 }],
  ["group", 1, { parent: null, index: 2 }],
  ["group", -1, { parent: null, index: 0 }],
  ["other", 1, null],
] as const)("%s goes by %i to %o", (node, by, place) => {
  expect(stepOf(CANVAS, node, by)).toEqual(place);
});

it.each([
  ["a", "group", "above", { parent: null, index: 1 }],
  ["a", "group", "below", { parent: null, index: 0 }],
  ["a", "group", "inside", { parent: "group", index: 2 }],
  ["b", "a", "below", { parent: null, index: 0 }],
  ["b", "c", "above", { parent: "group", index: 1 }],
  ["d", "other", "inside", { parent: "other", index: 0 }],
  ["b", "b", "above", null],
  ["b", "a", "inside", null],
] as const)("%s dropped onto %s, %s, goes to %o", (node, other, where, place) => {
  expect(placeBeside(CANVAS, node, other, where)).toEqual(place);
});
