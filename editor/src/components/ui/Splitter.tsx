import { type KeyboardEvent, type PointerEvent, useRef } from "react";
import { cx } from "./cx";
import styles from "./Splitter.module.css";

interface SplitterProps {
  /** The side of the window on which the panel lies that it resizes. */
  readonly side: "left" | "right" | "top" | "bottom";
  readonly size: number;
  readonly min: number;
  readonly max: number;
  readonly onChange: (size: number) => void;
  /** On a double click. */
  readonly onReset?: (() => void) | undefined;
  readonly label: string;
}

const STEP = 16;

/** The edge of a panel, to drag or to move with the arrow keys. */
export function Splitter({ side, size, min, max, onChange, onReset, label }: SplitterProps) {
  const start = useRef<{ at: number; size: number } | null>(null);
  const isColumn = side === "left" || side === "right";
  const grows = side === "left" || side === "top" ? 1 : -1;
  const clamp = (wanted: number) => Math.max(min, Math.min(max, wanted));
  const position = (event: PointerEvent) => (isColumn ? event.clientX : event.clientY);
  const onPointerDown = (event: PointerEvent<HTMLElement>) => {
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    start.current = { at: position(event), size };
  };
  const onPointerMove = (event: PointerEvent) => {
    if (!start.current) return;
    onChange(clamp(start.current.size + (position(event) - start.current.at) * grows));
  };
  const end = () => {
    start.current = null;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const [less, more] = isColumn ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
    const direction = event.key === more ? 1 : event.key === less ? -1 : 0;
    if (event.key === "Home") onChange(min);
    else if (event.key === "End") onChange(max);
    else if (direction !== 0) onChange(clamp(size + direction * grows * STEP));
    else return;
    event.preventDefault();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a separator that can be moved has no element
    <div
      role="separator"
      aria-orientation={isColumn ? "vertical" : "horizontal"}
      aria-label={label}
      aria-valuenow={Math.round(size)}
      aria-valuemin={min}
      aria-valuemax={max}
      tabIndex={0}
      className={cx(styles.splitter, isColumn ? styles.column : styles.row, styles[side])}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={end}
      onPointerCancel={end}
      onKeyDown={onKeyDown}
      onDoubleClick={onReset}
    />
  );
}
