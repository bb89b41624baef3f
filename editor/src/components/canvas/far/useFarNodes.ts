/**
 * The cards that the canvas library has from afar: those that are or were in sight, some more in
 * each frame.
 *
 * All blocks are drawn at once, so that cards for mouse and keys may come after them, and may stay
 * when they are out of sight: a zoom in and out again makes none anew.
 */
import { useEffect, useMemo, useRef, useState } from "react";
import { boxOf, type CanvasNode } from "../adapt";
import type { Sight } from "../moving/inSight";
import { type MovingView, SELDOM } from "../moving/movingView";

const PER_FRAME = 120;
const PER_MOVING_FRAME = 16;
/** Out of sight, no more than these stay. */
const MOST_KEPT = 3000;
/** Pixels of the screen around it in which cards are there, too. */
const AROUND = 40;

/**
 * Some of the nodes; all of them unless `far`.
 *
 * Args:
 *   view: Of the canvas.
 */
export function useFarNodes(
  nodes: readonly CanvasNode[],
  far: boolean,
  view: MovingView,
): readonly CanvasNode[] {
  const [kept, setKept] = useState<ReadonlySet<string>>(NONE);
  const latest = useRef({ nodes, kept });
  latest.current = { nodes, kept };
  useEffect(() => {
    if (!far) {
      setKept(NONE);
      return undefined;
    }
    let frame = 0;
    const next = () => {
      frame = 0;
      const now = latest.current;
      const count = view.isMoving ? PER_MOVING_FRAME : PER_FRAME;
      const found = withMore(now.kept, now.nodes, view.sight, count);
      if (found !== now.kept) {
        setKept(found);
        wake();
      }
    };
    const wake = () => {
      if (frame === 0) frame = requestAnimationFrame(next);
    };
    wake();
    const stop = view.follow(wake, SELDOM);
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [far, view]);
  return useMemo(
    () =>
      far ? nodes.filter((node) => node.selected || kept.has(node.id)).map(withHeight) : nodes,
    [nodes, kept, far],
  );
}

const NONE: ReadonlySet<string> = new Set();

/** The same set if all that is in sight is in it. */
export function withMore(
  kept: ReadonlySet<string>,
  nodes: readonly CanvasNode[],
  sight: Sight,
  count: number,
): ReadonlySet<string> {
  const missing: string[] = [];
  for (const node of nodes) {
    if (kept.has(node.id) || !isInSight(node, sight)) continue;
    missing.push(node.id);
    if (missing.length === count) break;
  }
  if (missing.length === 0) return kept;
  if (kept.size + missing.length <= MOST_KEPT) return new Set([...kept, ...missing]);
  const seen = nodes.filter((node) => kept.has(node.id) && isInSight(node, sight));
  return new Set([...seen.map(({ id }) => id), ...missing]);
}

function isInSight(node: CanvasNode, { transform, width, height }: Sight): boolean {
  const box = boxOf(node);
  const [x, y, zoom] = transform;
  const [left, top] = [box.x * zoom + x, box.y * zoom + y];
  return (
    left < width + AROUND &&
    top < height + AROUND &&
    left + box.width * zoom > -AROUND &&
    top + box.height * zoom > -AROUND
  );
}

const heightened = new WeakMap<CanvasNode, CanvasNode>();

/** As high as it was guessed to be, so that the library has nothing to measure. */
function withHeight(node: CanvasNode): CanvasNode {
  if (node.type !== "card" || node.measured !== undefined) return node;
  const known = heightened.get(node);
  if (known) return known;
  const { width, height } = boxOf(node);
  const found = { ...node, measured: { width, height } };
  heightened.set(node, found);
  return found;
}
