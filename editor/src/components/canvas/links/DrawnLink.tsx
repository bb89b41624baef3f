/** The link under the pointer while it is drawn, with the reason where it can't end there. */
import type { ConnectionLineComponentProps } from "@xyflow/react";
import type { CanvasNode } from "@/components/canvas/adapt";
import { canvas } from "@/components/canvas/controller";
import { useSettings } from "@/store/settings";
import { endsOf, judge } from "./connect";
import styles from "./DrawnLink.module.css";
import { useLinking } from "./linking";
import { lineThrough } from "./path";

export function DrawnLink(props: ConnectionLineComponentProps<CanvasNode>) {
  const { fromX, fromY, toX, toY, fromHandle, toHandle, connectionStatus, fromNode } = props;
  const style = useSettings((settings) => settings.linkStyle);
  const start = useLinking((state) => state.start);
  const ends = [
    { x: fromX, y: fromY },
    { x: toX, y: toY },
  ];
  const { d } = lineThrough(style, fromHandle.type === "source" ? ends : ends.toReversed());
  const scene = canvas()?.scene();
  const other =
    toHandle && toHandle.nodeId !== fromNode.id
      ? { node: toHandle.nodeId, port: toHandle.id ?? "" }
      : null;
  const verdict = scene && start && other ? judge(scene, endsOf(start, other)) : null;
  const words = verdict === null ? "" : verdict.fits ? verdict.note : verdict.reason;
  return (
    <g>
      <path d={d} className={styles.line} data-status={connectionStatus ?? "open"} />
      <circle
        cx={toX}
        cy={toY}
        r={5}
        className={styles.tip}
        data-status={connectionStatus ?? "open"}
      />
      {words !== "" && (
        <foreignObject x={toX + 14} y={toY + 10} width={280} height={120} className={styles.frame}>
          <div className={styles.words} data-fits={verdict?.fits}>
            {words}
          </div>
        </foreignObject>
      )}
    </g>
  );
}
