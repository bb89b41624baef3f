import { type CSSProperties, useRef } from "react";
import { t } from "@/i18n";
import type { Placement } from "@/model/painting/types";
import { FrameHandles, onArrows } from "./FrameHandles";
import { toCanvas } from "./pixels/stageView";
import { rotated, scaled } from "./pixels/transform";
import styles from "./Stage.module.css";
import type { StageView } from "./stageProps";
import { useHandleDrag } from "./useHandleDrag";

interface Props {
  /** With its size in numbers. */
  readonly placement: Placement;
  readonly view: StageView;
  onChange(placement: Placement, done: boolean): void;
}

/** Degrees by which an arrow key turns. */
const TURN = 1;

/** Handles around a layer, or selected pixels: the sides scale them, the one above turns them. */
export function TransformFrame({ placement, view, onChange }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const laid = {
    "--left": placement.x,
    "--top": placement.y,
    "--width": placement.width,
    "--height": placement.height,
    "--turn": `${placement.rotation}deg`,
  } as CSSProperties;
  return (
    <div ref={frame} className={styles.transform} style={laid}>
      <FrameHandles
        label="stage.scale"
        frame={placement}
        zoom={view.zoom}
        step={1}
        resized={scaled}
        onChange={onChange}
      />
      <TurnHandle
        placement={placement}
        view={view}
        stage={() => frame.current?.parentElement ?? null}
        onChange={onChange}
      />
    </div>
  );
}

function TurnHandle({
  placement,
  view,
  stage,
  onChange,
}: Props & { readonly stage: () => Element | null }) {
  const drag = useHandleDrag(
    view.zoom,
    () => placement,
    (start, { from, to, shift }, done) => {
      const corner = stage()?.getBoundingClientRect() ?? { left: 0, top: 0 };
      const onCanvas = ({ x, y }: typeof from) =>
        toCanvas(view, { x: x - corner.left, y: y - corner.top });
      onChange(rotated(start, onCanvas(from), onCanvas(to), shift), done);
    },
  );
  return (
    <button
      type="button"
      className={styles.turn}
      aria-label={t("stage.turn")}
      {...drag}
      onKeyDown={onArrows(({ x, y }) =>
        onChange({ ...placement, rotation: placement.rotation + TURN * (x + y) }, true),
      )}
    />
  );
}
