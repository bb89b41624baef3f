/** The edges and corners of a card by which it is made larger or smaller, and its pictures with it. */
import {
  type ControlLinePosition,
  type ControlPosition,
  NodeResizeControl,
  ResizeControlVariant,
} from "@xyflow/react";
import { useCallback, useRef } from "react";
import { edit } from "@/components/canvas/edit";
import { movedAndRouted } from "@/components/canvas/routes/drawnRoutes";
import { cx } from "@/components/ui";
import { resizeNode } from "@/model/edits";
import type { Box, Size } from "@/model/layout";
import styles from "./CardResize.module.css";
import { CARD_MIN_WIDTH } from "./geometry";

const SIDES: readonly ControlLinePosition[] = ["left", "right"];
const ENDS: readonly ControlLinePosition[] = ["top", "bottom"];
const CORNER: readonly ControlPosition[] = ["bottom-right"];
const CORNERS: readonly ControlPosition[] = ["top-left", "top-right", "bottom-left", ...CORNER];

interface ResizeProps {
  readonly id: string;
  /** As the layout has it; null for the usual one. */
  readonly size: Size | null;
  /** What its fields need. */
  readonly minHeight: number;
  /** Whether it has them all, and not only the corner that is seen: of hundreds they would cost much. */
  readonly hasEdges: boolean;
}

export function CardResize({ id, size, minHeight, hasEdges }: ResizeProps) {
  const height = size?.height;
  // A press that goes nowhere changes nothing.
  const isDragged = useRef(false);
  const start = useCallback(() => {
    isDragged.current = false;
  }, []);
  const drag = useCallback(() => {
    isDragged.current = true;
  }, []);
  const widen = useCallback(
    (_: unknown, box: Box) => {
      if (isDragged.current)
        place(id, box, { width: box.width, ...(height !== undefined && { height }) });
    },
    [id, height],
  );
  const resize = useCallback(
    (_: unknown, box: Box) => {
      if (isDragged.current) place(id, box, { width: box.width, height: box.height });
    },
    [id],
  );
  const limits = {
    minWidth: CARD_MIN_WIDTH,
    minHeight,
    onResizeStart: start,
    onResize: drag,
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys for it are commands
    <div className="nodrag" onDoubleClick={(event) => reset(event, id, size)}>
      {(hasEdges ? SIDES : []).map((position) => (
        <NodeResizeControl
          key={position}
          position={position}
          variant={ResizeControlVariant.Line}
          resizeDirection="horizontal"
          className={cx(styles.edge)}
          onResizeEnd={widen}
          {...limits}
        />
      ))}
      {(hasEdges ? ENDS : []).map((position) => (
        <NodeResizeControl
          key={position}
          position={position}
          variant={ResizeControlVariant.Line}
          className={cx(styles.edge)}
          onResizeEnd={resize}
          {...limits}
        />
      ))}
      {(hasEdges ? CORNERS : CORNER).map((position) => (
        <NodeResizeControl
          key={position}
          position={position}
          className={cx(styles.corner)}
          onResizeEnd={resize}
          autoScale={false}
          {...limits}
        />
      ))}
    </div>
  );
}

function place(id: string, { x, y }: Box, size: Size): void {
  edit("canvas.edit.resize", (workflow, scope) =>
    movedAndRouted(resizeNode(workflow, scope, id, size), scope, new Map([[id, { x, y }]])),
  );
}

/** A double click on an edge: the usual size again. */
function reset(event: { stopPropagation: () => void }, id: string, size: Size | null): void {
  event.stopPropagation();
  if (size === null) return;
  edit("canvas.edit.resize", (workflow, scope) => resizeNode(workflow, scope, id, null));
}
