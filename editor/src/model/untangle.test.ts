import { expect, test } from "vitest";
import { untangled } from "./untangle";
import type { Wire } from "./wires";

const size = (height: number) => ({ width: 200, height });
const sizes = new Map([
  ["upper", size(100)],
  ["lower", size(160)],
  ["end", size(300)],
]);
const places = new Map([
  ["upper", { x: 0, y: 0 }],
  ["lower", { x: 0, y: 130 }],
  ["end", { x: 300, y: 0 }],
]);
const wire = (from: string, into: number): Wire => ({ from, to: "end", out: 50, into });

test("of two cards, the one that is linked above comes to stand above, in the same room", () => {
  const found = untangled(places, sizes, [wire("upper", 90), wire("lower", 60)]);
  expect(found.get("lower")).toEqual({ x: 0, y: 0 });
  expect(found.get("upper")).toEqual({ x: 0, y: 190 });
  expect(found.get("end")).toEqual({ x: 300, y: 0 });
});

test("what doesn't cross stays", () => {
  expect(untangled(places, sizes, [wire("upper", 60), wire("lower", 90)])).toEqual(places);
  expect(untangled(places, sizes, [wire("upper", 60), wire("lower", 60)])).toEqual(places);
});

test("two cards change places around one in between, and leave its gaps", () => {
  const more = new Map([...sizes, ["between", size(40)]]);
  const around = new Map([
    ["upper", { x: 0, y: 0 }],
    ["between", { x: 0, y: 120 }],
    ["lower", { x: 0, y: 190 }],
    ["end", { x: 300, y: 0 }],
  ]);
  const wires = [wire("upper", 90), wire("lower", 60), wire("between", 75)];
  const found = untangled(around, more, wires);
  expect([...found].slice(0, 3).map(([name, { y }]) => [name, y])).toEqual([
    ["upper", 250],
    ["between", 180],
    ["lower", 0],
  ]);
});
