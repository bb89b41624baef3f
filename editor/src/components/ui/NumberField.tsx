import { ChevronsLeftRight } from "lucide-react";
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from "react";
import { t } from "@/i18n";
import { cx } from "./cx";
import styles from "./NumberField.module.css";
import { type Bounds, readSum, settle, stepOf } from "./numbers";

export interface NumberFieldProps extends Bounds {
  readonly value: number | null;
  readonly onChange: (value: number) => void;
  /** The field was emptied; without it, an empty field goes back to what it was. */
  readonly onClear?: (() => void) | undefined;
  readonly id?: string | undefined;
  readonly label?: string | undefined;
  readonly suffix?: string | undefined;
  readonly placeholder?: string | undefined;
  readonly disabled?: boolean | undefined;
  readonly invalid?: boolean | undefined;
  readonly describedBy?: string | undefined;
  readonly className?: string | undefined;
}

/**
 * A number to type (sums too), to step with the arrow keys and to drag by its handle.
 *
 * What is typed counts when Enter is pressed or the field is left, so that "1" on the way to "1024"
 * changes nothing.
 *
 * Not the kit's number field: that one refuses every character that no number has, so no sums.
 */
export function NumberField(props: NumberFieldProps) {
  const { value, onChange, onClear, id, label, suffix, placeholder, disabled, invalid } = props;
  const [draft, setDraft] = useState<string | null>(null);
  const shown = draft ?? (value === null ? "" : String(value));

  const commit = () => {
    if (draft === null) return;
    setDraft(null);
    if (draft.trim() === "") return onClear?.();
    const typed = readSum(draft);
    if (typed === null) return;
    const settled = settle(typed, props);
    if (settled !== value) onChange(settled);
  };
  const step = (direction: number, event: KeyboardEvent) => {
    const typed = draft === null ? value : readSum(draft);
    setDraft(null);
    onChange(settle((typed ?? props.min ?? 0) + direction * stepOf(props, event), props));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowUp") step(1, event);
    else if (event.key === "ArrowDown") step(-1, event);
    else if (event.key === "PageUp") step(10, event);
    else if (event.key === "PageDown") step(-10, event);
    else if (event.key === "Enter") return commit();
    else if (event.key === "Escape" && draft !== null) setDraft(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const drag = useDrag(props);

  return (
    <span className={cx(styles.field, disabled && styles.disabled, props.className)}>
      <span className={styles.handle} {...drag} aria-hidden>
        <ChevronsLeftRight size={12} />
      </span>
      <input
        id={id}
        type="text"
        inputMode={props.integer ? "numeric" : "decimal"}
        role="spinbutton"
        autoComplete="off"
        aria-label={label}
        aria-describedby={props.describedBy}
        aria-invalid={invalid || undefined}
        aria-valuenow={value ?? undefined}
        aria-valuemin={finite(props.min)}
        aria-valuemax={finite(props.max)}
        aria-valuetext={value === null ? t("ui.empty") : undefined}
        placeholder={placeholder}
        disabled={disabled}
        value={shown}
        className={styles.input}
        onChange={(event) => setDraft(event.target.value)}
        onFocus={(event) => event.target.select()}
        onBlur={commit}
        onKeyDown={onKeyDown}
      />
      {suffix && <span className={styles.suffix}>{suffix}</span>}
    </span>
  );
}

function finite(bound: number | undefined): number | undefined {
  return bound !== undefined && Number.isFinite(bound) ? bound : undefined;
}

const PIXELS_PER_STEP = 5;

/** Dragging sideways on the handle: a step each few pixels, from where the drag began. */
function useDrag(props: NumberFieldProps) {
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });
  const start = useRef<{ x: number; value: number } | null>(null);
  return {
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      if (latest.current.disabled || event.button !== 0) return;
      event.preventDefault();
      event.stopPropagation();
      event.currentTarget.setPointerCapture(event.pointerId);
      start.current = { x: event.clientX, value: latest.current.value ?? latest.current.min ?? 0 };
    },
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      if (!start.current) return;
      const steps = Math.round((event.clientX - start.current.x) / PIXELS_PER_STEP);
      const next = settle(
        start.current.value + steps * stepOf(latest.current, event),
        latest.current,
      );
      if (next !== latest.current.value) latest.current.onChange(next);
    },
    onPointerUp: () => {
      start.current = null;
    },
    onPointerCancel: () => {
      start.current = null;
    },
  };
}
