import type { NodeChange } from "@xyflow/react";
import { expect, it } from "vitest";
import type { CanvasNode } from "@/components/canvas/adapt";
import { leadOf, withLead } from "./lead";

const atHalf = ({ x, y }: { x: number; y: number }) => ({ x: 2 * x + 7, y: 2 * y - 3 });
const moved = (x: number, y: number): NodeChange<CanvasNode> => ({
  id: "a",
  type: "position",
  position: { x, y },
  dragging: true,
});

it("the way before a drag began counts, as far as it is on the canvas", () => {
  const pressed = { x: 100, y: 50 };
  expect(leadOf(pressed, { clientX: 130, clientY: 40 }, atHalf, null)).toEqual({ x: 60, y: -20 });
  const touch = { touches: [{ clientX: 104, clientY: 50 }] };
  expect(leadOf(pressed, touch, atHalf, null)).toEqual({ x: 8, y: 0 });
});

it("where nothing was pressed there is none", () => {
  expect(leadOf(null, { clientX: 130, clientY: 40 }, atHalf, null)).toEqual({ x: 0, y: 0 });
  expect(leadOf({ x: 1, y: 1 }, {}, atHalf, null)).toEqual({ x: 0, y: 0 });
});

it("on a grid it is whole steps, so that items stay on it", () => {
  const found = leadOf({ x: 0, y: 0 }, { clientX: 13, clientY: 3 }, atHalf, 16);
  expect(found).toEqual({ x: 32, y: 0 });
});

it("what is dragged goes as far as the pointer", () => {
  const other: NodeChange<CanvasNode> = { id: "b", type: "select", selected: true };
  const changes = [moved(10, 20), other];
  expect(withLead(changes, { x: 60, y: -20 })).toEqual([moved(70, 0), other]);
  expect(withLead(changes, { x: 0, y: 0 })).toBe(changes);
});
