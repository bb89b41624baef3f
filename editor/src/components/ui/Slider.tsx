import { cx } from "./cx";
import { settle } from "./numbers";
import styles from "./Slider.module.css";

interface SliderProps {
  readonly value: number;
  readonly onChange: (value: number) => void;
  /** The drag ended. */
  readonly onCommit?: (() => void) | undefined;
  readonly min: number;
  readonly max: number;
  readonly step?: number | undefined;
  readonly id?: string | undefined;
  readonly label?: string | undefined;
  readonly disabled?: boolean | undefined;
  readonly className?: string | undefined;
}

/**
 * The browser's own slider: the kit's draws one over the same element, but that takes no id, so
 * that no label names it.
 */
export function Slider(props: SliderProps) {
  const { value, onChange, onCommit, min, max, step, id, label, disabled, className } = props;
  const share = max > min ? (Math.min(max, Math.max(min, value)) - min) / (max - min) : 0;
  return (
    <input
      id={id}
      type="range"
      min={min}
      max={max}
      step={step ?? "any"}
      value={value}
      disabled={disabled}
      aria-label={label}
      className={cx(styles.slider, "nodrag", className)}
      style={{ "--share": `${share * 100}%` } as React.CSSProperties}
      onChange={(event) => onChange(settle(Number(event.target.value), { min, max, step }))}
      onPointerUp={onCommit}
      onKeyUp={onCommit}
    />
  );
}
