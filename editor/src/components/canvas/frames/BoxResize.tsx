/** The corner by which a frame or a note is made larger or smaller. */
import { NodeResizeControl } from "@xyflow/react";
import type { Box } from "@/model/layout";

interface BoxResizeProps {
  readonly minWidth: number;
  readonly minHeight: number;
  readonly className: string;
  readonly onResize: (box: Box) => void;
}

export function BoxResize({ minWidth, minHeight, className, onResize }: BoxResizeProps) {
  return (
    <NodeResizeControl
      position="bottom-right"
      minWidth={minWidth}
      minHeight={minHeight}
      className={className}
      onResizeEnd={(_, { x, y, width, height }) => onResize({ x, y, width, height })}
    />
  );
}
