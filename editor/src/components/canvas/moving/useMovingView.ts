/** The view of a canvas, which the library and all that follows the view share. */
import { useStoreApi } from "@xyflow/react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { CanvasEdge, CanvasNode } from "@/components/canvas/adapt";
import { Boxes } from "./inSight";
import { MovingView } from "./movingView";

interface Seen {
  readonly nodes: readonly CanvasNode[];
  readonly edges: readonly CanvasEdge[];
  readonly far: boolean;
}

/** What shows a mark of its own from afar, where all else is one drawing. */
const MARKS = "[data-marked], .react-flow__viewport-portal > :not([data-corners])";

/** Of one graph, in the part of the page that it is drawn in. */
export function useMovingView(frame: HTMLElement, seen: Seen): MovingView {
  const store = useStoreApi();
  const latest = useRef(seen);
  latest.current = seen;
  const view = useState(() => {
    const layer = () => frame.querySelector<HTMLElement>(".react-flow__viewport");
    let boxes: Boxes | null = null;
    let of: Seen | null = null;
    return new MovingView(store, frame, {
      isFar: () => latest.current.far,
      layer: () => {
        const found = layer();
        return latest.current.far && found?.querySelector(MARKS) === null ? null : found;
      },
      boxes: () => {
        const { nodes, edges, far } = latest.current;
        if (far) return null;
        if (boxes === null || of?.nodes !== nodes || of.edges !== edges)
          boxes = new Boxes(nodes, edges);
        of = latest.current;
        return boxes;
      },
    });
  })[0];
  useEffect(() => {
    // What begins now reckons with the view that the library knows.
    const press = ({ pointerType }: PointerEvent) => view.press(pointerType);
    // A mouse that drags the view means nothing else: what is below it need not be asked.
    const move = (event: PointerEvent) => {
      if (view.isMoving && event.pointerType === "mouse" && event.buttons !== 0)
        event.stopPropagation();
    };
    window.addEventListener("pointerdown", press, true);
    window.addEventListener("pointermove", move, true);
    window.addEventListener("keydown", view.settle, true);
    return () => {
      window.removeEventListener("pointerdown", press, true);
      window.removeEventListener("pointermove", move, true);
      window.removeEventListener("keydown", view.settle, true);
      view.settle();
    };
  }, [view]);
  return useMemo(() => view, [view]);
}
