import type { CSSProperties } from "react";
import { t } from "@/i18n";
import { type CanvasBox, type PaintCanvas, sampledSize } from "@/model/painting/types";
import { HANDLES, type Handle, resizedBox } from "./pixels/transform";
import styles from "./Stage.module.css";
import type { StageProps, StageView } from "./stageProps";
import type { ToolState } from "./tools";
import { arrowOf, useHandleDrag } from "./useHandleDrag";

interface Props {
  readonly canvas: PaintCanvas;
  readonly view: StageView;
  readonly tool: ToolState;
  readonly onBox: StageProps["onBox"];
}

/** The box that is generated, its size, and its handles while the box tool is chosen. */
export function BoxFrame({ canvas: { box }, view, tool, onBox }: Props) {
  const frame = {
    "--left": box.x,
    "--top": box.y,
    "--width": box.width,
    "--height": box.height,
  } as CSSProperties;
  return (
    <div className={styles.box} style={frame} data-box="">
      <span className={styles.size}>{sizeText(box)}</span>
      {tool.name === "box" &&
        HANDLES.map((handle) => (
          <BoxHandle
            key={handle.name}
            handle={handle}
            box={box}
            view={view}
            snap={tool.snap}
            onBox={onBox}
          />
        ))}
    </div>
  );
}

function sizeText(box: CanvasBox): string {
  const { width, height } = box;
  const sampled = sampledSize(box);
  if (sampled.width === width && sampled.height === height)
    return t("stage.boxSize", { width, height });
  return t("stage.boxSampled", {
    width,
    height,
    sampledWidth: sampled.width,
    sampledHeight: sampled.height,
  });
}

interface HandleProps {
  readonly handle: Handle;
  readonly box: CanvasBox;
  readonly view: StageView;
  readonly snap: number;
  readonly onBox: StageProps["onBox"];
}

function BoxHandle({ handle, box, view, snap, onBox }: HandleProps) {
  const drag = useHandleDrag(
    view.zoom,
    () => box,
    (start, { by, shift }, done) =>
      onBox({ ...start, ...resizedBox(start, handle, by, snap, shift) }, done),
  );
  return (
    <button
      type="button"
      className={styles.handle}
      data-handle={handle.name}
      aria-label={t("stage.resizeBox", { side: t(`stage.side.${handle.name}`) })}
      {...drag}
      onKeyDown={(event) => {
        const arrow = arrowOf(event.key);
        if (arrow === null) return;
        event.preventDefault();
        event.stopPropagation();
        const by = { x: arrow.x * snap, y: arrow.y * snap };
        onBox({ ...box, ...resizedBox(box, handle, by, snap, event.shiftKey) }, true);
      }}
    />
  );
}
