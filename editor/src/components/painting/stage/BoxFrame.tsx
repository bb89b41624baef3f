import type { CSSProperties } from "react";
import { t } from "@/i18n";
import { type CanvasBox, type PaintCanvas, sampledSize } from "@/model/painting/types";
import { FrameHandles } from "./FrameHandles";
import { resizedBox } from "./pixels/transform";
import styles from "./Stage.module.css";
import type { StageProps, StageView } from "./stageProps";
import type { ToolState } from "./tools";

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
      {tool.name === "box" && (
        <FrameHandles
          label="stage.resizeBox"
          frame={box}
          zoom={view.zoom}
          step={tool.snap}
          resized={(start, handle, by, shift) => ({
            ...start,
            ...resizedBox(start, handle, by, tool.snap, shift),
          })}
          onChange={onBox}
        />
      )}
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
