/** A link between two cards, in the colour of what flows through it. */
import { EdgeLabelRenderer, type EdgeProps } from "@xyflow/react";
import { ArrowRightLeft, ListTree, TriangleAlert } from "lucide-react";
import { memo } from "react";
import type { CanvasEdge, LinkData } from "@/components/canvas/adapt";
import { vars } from "@/components/canvas/vars";
import { usePlace } from "@/components/canvas/view";
import { cx, tip } from "@/components/ui";
import { useNodeRun } from "@/hooks/useNodeRun";
import { useSettings } from "@/store/settings";
import { useCutting } from "./cutting";
import styles from "./LinkEdge.module.css";
import { lineThrough } from "./path";
import { usePointsOf } from "./points";
import { useSplicing } from "./splicing";

const PLAIN: LinkData = {
  color: "var(--text-faint)",
  note: "",
  mark: "",
  points: [],
  touched: false,
  off: false,
  end: null,
};

export const LinkEdge = memo(function LinkEdge(props: EdgeProps<CanvasEdge>) {
  const { id, target, sourceX, sourceY, targetX, targetY, selected, data = PLAIN } = props;
  const style = useSettings((settings) => settings.linkStyle);
  const points = usePointsOf(id, data.points);
  const { run } = useNodeRun(usePlace(), target);
  const isTaking = useSplicing((state) => state.found?.edge.id === id);
  const isCut = useCutting((state) => state.cut?.crossed.has(id) === true);
  const line = lineThrough(style, [
    { x: sourceX, y: sourceY },
    ...points,
    { x: targetX, y: targetY },
  ]);
  const classes = cx(
    styles.link,
    selected && styles.selected,
    data.touched && styles.touched,
    data.off && styles.off,
    data.mark === "wrong" && styles.wrong,
    run?.state === "running" && styles.flowing,
    isTaking && styles.taking,
    isCut && styles.cut,
  );
  return (
    <>
      <path d={line.d} className={styles.wide} />
      <path
        d={line.d}
        className={classes}
        style={{ stroke: isCut || data.mark === "wrong" ? "var(--bad)" : data.color }}
        data-edge={id}
        data-taking={isTaking || undefined}
        data-cut={isCut || undefined}
      />
      {data.mark !== "" && <Mark data={data} x={line.middle.x} y={line.middle.y} />}
    </>
  );
});

const MARKS = { converts: ArrowRightLeft, maps: ListTree, wrong: TriangleAlert } as const;

function Mark({ data, x, y }: { readonly data: LinkData; readonly x: number; readonly y: number }) {
  if (data.mark === "") return null;
  const Icon = MARKS[data.mark];
  return (
    <EdgeLabelRenderer>
      <span
        className={cx(styles.mark, data.mark === "wrong" && styles.wrongMark)}
        style={{
          transform: `translate(-50%, -50%) translate(${x}px, ${y}px)`,
          ...vars({ "--port": data.color }),
        }}
        role="img"
        aria-label={data.note}
        {...tip(data.note)}
      >
        <Icon size={11} aria-hidden />
      </span>
    </EdgeLabelRenderer>
  );
}
