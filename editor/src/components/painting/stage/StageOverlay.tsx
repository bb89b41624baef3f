import type { CanvasBox } from "@/model/painting/types";
import type { Point, Size } from "./pixels/geometry";
import { screenRect, toScreen } from "./pixels/stageView";
import styles from "./Stage.module.css";
import type { StageView } from "./stageProps";
import type { Pointing } from "./useObjectPrompt";

interface Props {
  readonly box: CanvasBox;
  readonly view: StageView;
  readonly size: Size;
  /** SVG paths in pixels of the canvas. */
  readonly selection: string | null;
  readonly shape: string | null;
  /** What points at the object that is being selected. */
  readonly pointing: Pointing | null;
}

/** Lines over the pixels: what lies outside of the box is dimmed, what is selected has an outline. */
export function StageOverlay({ box, view, size, selection, shape, pointing }: Props) {
  const { x, y, width, height } = screenRect(view, box);
  const all = `M0 0H${size.width}V${size.height}H0Z`;
  const hole = `M${x} ${y}V${y + height}H${x + width}V${y}Z`;
  const onCanvas = `translate(${-view.x * view.zoom} ${-view.y * view.zoom}) scale(${view.zoom})`;
  return (
    <svg className={styles.overlay} aria-hidden="true">
      <path className={styles.dims} d={`${all}${hole}`} fillRule="evenodd" />
      <g transform={onCanvas}>
        {selection !== null && <Outline path={selection} />}
        {shape !== null && <Outline path={shape} />}
      </g>
      {pointing?.points.map((point) => (
        <Mark key={`${point.x} ${point.y}`} at={toScreen(view, point)} />
      ))}
      {pointing?.excluded.map((point) => (
        <Mark key={`${point.x} ${point.y}`} at={toScreen(view, point)} isOut />
      ))}
    </svg>
  );
}

/** A point in or outside of the object: the two kinds differ in shape, too, not only in color. */
function Mark({ at: { x, y }, isOut = false }: { readonly at: Point; readonly isOut?: boolean }) {
  const path = isOut ? "M-4 -4L4 4M-4 4L4 -4" : "M-5 0H5M0 -5V5";
  return (
    <g transform={`translate(${x} ${y})`} data-point={isOut ? "out" : "in"}>
      <circle className={styles.mark} r={8} data-out={isOut || undefined} />
      <path className={styles.markSign} d={path} />
    </g>
  );
}

/** Dark and light, to be seen on any color. */
function Outline({ path }: { readonly path: string }) {
  return (
    <>
      <path className={styles.outlineDark} d={path} />
      <path className={styles.outlineLight} d={path} />
    </>
  );
}
