/** The line that cuts links, while it is drawn. */
import { ViewportPortal } from "@xyflow/react";
import styles from "./CutLine.module.css";
import { useCutting } from "./cutting";
import { lineThrough } from "./path";

export function CutLine() {
  const line = useCutting((state) => state.cut?.line);
  if (line === undefined) return null;
  return (
    <ViewportPortal>
      <svg className={styles.frame} aria-hidden="true" data-cut-line>
        <path d={lineThrough("straight", line).d} className={styles.line} />
      </svg>
    </ViewportPortal>
  );
}
