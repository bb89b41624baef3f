import { type CSSProperties, useRef } from "react";
import { t } from "@/i18n";
import type { PaintLayer, Placement } from "@/model/painting/types";
import { toCanvas } from "./pixels/stageView";
import { HANDLES, type Handle, rotated, scaled } from "./pixels/transform";
import styles from "./Stage.module.css";
import type { StageProps, StageView } from "./stageProps";
import { arrowOf, useHandleDrag } from "./useHandleDrag";

interface Props {
  readonly layer: PaintLayer;
  /** With its size in numbers; null while its picture loads. */
  readonly placement: Placement | null;
  readonly view: StageView;
  readonly onPlacement: StageProps["onPlacement"];
}

/** Degrees by which an arrow key turns. */
const TURN = 1;

/** Handles around the active layer: its sides scale it, the one above turns it. */
export function TransformFrame({ layer, placement, view, onPlacement }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  if (placement === null) return null;
  const laid = {
    "--left": placement.x,
    "--top": placement.y,
    "--width": placement.width,
    "--height": placement.height,
    "--turn": `${placement.rotation}deg`,
  } as CSSProperties;
  const change = (next: Placement, done: boolean) => onPlacement(layer.node, next, done);
  return (
    <div ref={frame} className={styles.transform} style={laid}>
      {HANDLES.map((handle) => (
        <ScaleHandle
          key={handle.name}
          handle={handle}
          placement={placement}
          view={view}
          onChange={change}
        />
      ))}
      <TurnHandle
        placement={placement}
        view={view}
        stage={() => frame.current?.parentElement ?? null}
        onChange={change}
      />
    </div>
  );
}

interface HandleProps {
  readonly placement: Placement;
  readonly view: StageView;
  readonly onChange: (placement: Placement, done: boolean) => void;
}

function ScaleHandle({ handle, placement, view, onChange }: HandleProps & { handle: Handle }) {
  const drag = useHandleDrag(
    view.zoom,
    () => placement,
    (start, { by, shift }, done) => onChange(scaled(start, handle, by, shift), done),
  );
  return (
    <button
      type="button"
      className={styles.handle}
      data-handle={handle.name}
      aria-label={t("stage.scale", { side: t(`stage.side.${handle.name}`) })}
      {...drag}
      onKeyDown={(event) => {
        const arrow = arrowOf(event.key);
        if (arrow === null) return;
        event.preventDefault();
        event.stopPropagation();
        onChange(scaled(placement, handle, arrow, event.shiftKey), true);
      }}
    />
  );
}

function TurnHandle({
  placement,
  view,
  stage,
  onChange,
}: HandleProps & { stage: () => Element | null }) {
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
      onKeyDown={(event) => {
        const arrow = arrowOf(event.key);
        if (arrow === null) return;
        event.preventDefault();
        event.stopPropagation();
        const rotation = placement.rotation + TURN * (arrow.x + arrow.y);
        onChange({ ...placement, rotation }, true);
      }}
    />
  );
}
