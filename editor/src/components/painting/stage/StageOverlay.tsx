import type { CanvasBox } from "@/model/painting/types";
import type { Size } from "./pixels/geometry";
import { screenRect } from "./pixels/stageView";
import styles from "./Stage.module.css";
import type { StageView } from "./stageProps";

interface Props {
  readonly box: CanvasBox;
  readonly view: StageView;
  readonly size: Size;
  /** SVG paths in pixels of the canvas. */
  readonly selection: string | null;
  readonly shape: string | null;
}

/** Lines over the pixels: what lies outside of the box is dimmed, what is selected has an outline. */
export function StageOverlay({ box, view, size, selection, shape }: Props) {
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
    </svg>
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
