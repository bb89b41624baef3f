import { t } from "@/i18n";
import type { Point } from "./pixels/geometry";
import { HANDLES, type Handle } from "./pixels/transform";
import styles from "./Stage.module.css";
import { arrowOf, useHandleDrag } from "./useHandleDrag";

interface Props<Frame> {
  /** Of what the handles resize, with `{{side}}`. */
  readonly label: string;
  readonly frame: Frame;
  readonly zoom: number;
  /** Pixels of the canvas that an arrow key moves a handle by. */
  readonly step: number;
  /** The frame after a handle of it was moved; Shift keeps its proportions. */
  resized(start: Frame, handle: Handle, by: Point, shift: boolean): Frame;
  onChange(frame: Frame, done: boolean): void;
}

/** The eight handles at the corners and sides of a frame, moved by pointer or arrow keys. */
export function FrameHandles<Frame>(props: Props<Frame>) {
  return HANDLES.map((handle) => <FrameHandle key={handle.name} {...props} handle={handle} />);
}

function FrameHandle<Frame>(props: Props<Frame> & { readonly handle: Handle }) {
  const { label, frame, handle, zoom, step, resized, onChange } = props;
  const drag = useHandleDrag(
    zoom,
    () => frame,
    (start, { by, shift }, done) => onChange(resized(start, handle, by, shift), done),
  );
  const onKeyDown = onArrows((arrow, shift) => {
    const by = { x: arrow.x * step, y: arrow.y * step };
    onChange(resized(frame, handle, by, shift), true);
  });
  return (
    <button
      type="button"
      className={styles.handle}
      data-handle={handle.name}
      aria-label={t(label, { side: t(`stage.side.${handle.name}`) })}
      {...drag}
      onKeyDown={onKeyDown}
    />
  );
}

/** What arrow keys on a handle do, which the stage around it doesn't get. */
export function onArrows(move: (arrow: Point, shift: boolean) => void) {
  return (event: React.KeyboardEvent<HTMLElement>) => {
    const arrow = arrowOf(event.key);
    if (arrow === null) return;
    event.preventDefault();
    event.stopPropagation();
    move(arrow, event.shiftKey);
  };
}
