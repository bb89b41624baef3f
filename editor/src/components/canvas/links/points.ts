/** The points of links while they are being dragged: lines follow them before the drop is written. */
import { useMemo } from "react";
import { create } from "zustand";
import { REROUTE_SIZE } from "@/components/canvas/card/geometry";
import { edgeItem, itemOf } from "@/model/items";
import type { Point } from "@/model/layout";

interface Dragged {
  /** By edge item: the points that are elsewhere, by their index. */
  readonly points: ReadonlyMap<string, ReadonlyMap<number, Point>>;
}

const NONE: Dragged = { points: new Map() };

const useDragged = create<Dragged>()(() => NONE);

/** Say where dragged reroute points are, from the places of their cards. */
export function setDraggedPoints(places: ReadonlyMap<string, Point>): void {
  const points = new Map<string, Map<number, Point>>();
  for (const [id, place] of places) {
    const item = itemOf(id);
    if (item.kind !== "reroute") continue;
    const edge = edgeItem(item.edge);
    const found = points.get(edge) ?? new Map<number, Point>();
    found.set(item.index, centerOf(place));
    points.set(edge, found);
  }
  if (points.size > 0 || useDragged.getState() !== NONE) {
    useDragged.setState(points.size > 0 ? { points } : NONE);
  }
}

/** The point in the middle of a reroute's card. */
export function centerOf(place: Point): Point {
  return { x: place.x + REROUTE_SIZE / 2, y: place.y + REROUTE_SIZE / 2 };
}

export function usePointsOf(edge: string, points: readonly Point[]): readonly Point[] {
  const dragged = useDragged((state) => state.points.get(edge));
  return useMemo(
    () => (dragged ? points.map((point, index) => dragged.get(index) ?? point) : points),
    [dragged, points],
  );
}
