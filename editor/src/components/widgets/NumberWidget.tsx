import type { CSSProperties, KeyboardEvent } from "react";
import { cx } from "@/components/ui";
import { t } from "@/i18n";
import { numberOf } from "@/model/json";
import { defaultOf } from "@/model/spec";
import { checkValue, type Widget } from "@/model/widgets";
import styles from "./NumberWidget.module.css";
import { curveOf, readNumber, showNumber, snapped, stepped } from "./numbers";
import type { WidgetProps } from "./types";
import { type TextReading, useDraft } from "./useDraft";
import { useScrub } from "./useScrub";
import { useMarks, WidgetFrame } from "./WidgetFrame";

export type NumberKind = Extract<Widget, { kind: "number" }>;
type Props = WidgetProps & { readonly widget: NumberKind };

/** A number: typed, stepped by arrow keys, dragged sideways, or set by a slider. */
export function NumberWidget(props: Props) {
  const { input, value, onChange, id, disabled = false, widget } = props;
  const usual = defaultOf(input);
  const counts = value ?? usual;
  const number = numberOf(counts);
  const draft = useDraft({
    id,
    shown: showNumber(value),
    read: (text) => readField(text, props),
    onChange,
  });
  const marks = useMarks(props, draft.fault);
  const scrub = useScrub({
    disabled,
    start: () => {
      draft.reset();
      return counts;
    },
    move: (from, steps) => onChange(stepped(from, widget, steps)),
  });

  function pressed(event: KeyboardEvent) {
    if (event.key === "Escape" && draft.fault !== null) {
      event.preventDefault();
      event.stopPropagation();
      draft.reset();
    }
    const steps = stepsOf(event, widget.integer);
    if (steps === null) return;
    event.preventDefault();
    event.stopPropagation();
    draft.reset();
    onChange(stepped(counts, widget, steps));
  }

  return (
    <WidgetFrame marks={marks} fault={draft.fault ?? props.problem} isTaken={draft.isTaken}>
      <div className={cx(styles.row, "nodrag")} data-slider={widget.slider || undefined}>
        {widget.slider && <NumberSlider {...props} number={number} onSlide={draft.reset} />}
        <input
          id={id}
          type="text"
          inputMode={widget.integer ? "numeric" : "decimal"}
          autoComplete="off"
          spellCheck={false}
          role="spinbutton"
          aria-valuenow={number ?? undefined}
          aria-valuetext={number === null ? undefined : showNumber(counts)}
          aria-valuemin={widget.minimum ?? undefined}
          aria-valuemax={widget.maximum ?? undefined}
          {...marks.field}
          className={cx(styles.field, widget.slider && styles.beside)}
          disabled={disabled}
          placeholder={showNumber(usual) || (input.nullable ? t("widgets.notGiven") : "")}
          value={draft.text}
          onChange={(event) => draft.change(event.target.value)}
          onKeyDown={pressed}
          onBlur={draft.leave}
          {...scrub}
        />
      </div>
    </WidgetFrame>
  );
}

function readField(text: string, { input, widget }: Props): TextReading {
  if (text.trim() === "") {
    return input.required ? { fault: t("widgets.missingNumber") } : { value: undefined };
  }
  const { value, fault } = readNumber(text, widget.integer);
  if (fault !== null) return { fault: t(`widgets.${fault}`) };
  const wrong = checkValue(input, value);
  return wrong === null ? { value } : { fault: wrong };
}

/** How far an arrow key goes; null for other keys. Ctrl makes the steps of a float smaller. */
export function stepsOf(event: KeyboardEvent, integer: boolean): number | null {
  const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
  if (steps === undefined || event.altKey) return null;
  if (event.shiftKey) return steps * 10;
  return (event.ctrlKey || event.metaKey) && !integer ? steps / 10 : steps;
}

interface SliderProps extends Props {
  readonly number: number | null;
  readonly onSlide: () => void;
}

const POSITIONS = 1000;

function NumberSlider({ input, widget, label, number, disabled, onChange, onSlide }: SliderProps) {
  const { minimum, maximum } = widget;
  if (minimum === null || maximum === null || maximum <= minimum) return null;
  const now = Math.min(maximum, Math.max(minimum, number ?? minimum));
  const curve = curveOf(widget);
  const part = ((now - minimum) / (maximum - minimum)) ** (1 / curve);

  function slide(position: number) {
    onSlide();
    const way = (position / POSITIONS) ** curve;
    onChange(snapped((minimum ?? 0) + way * ((maximum ?? 0) - (minimum ?? 0)), widget));
  }

  function pressed(event: KeyboardEvent) {
    const sideways = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const steps = sideways ?? stepsOf(event, true);
    if (steps === null) return;
    // The browser's own step would be a thousandth of the way.
    event.preventDefault();
    onSlide();
    onChange(stepped(now, widget, sideways !== undefined && event.shiftKey ? steps * 10 : steps));
  }

  return (
    <input
      type="range"
      aria-label={t("widgets.slider", { name: label ?? input.name })}
      aria-valuetext={String(now)}
      className={styles.slider}
      style={{ "--part": `${part * 100}%` } as CSSProperties}
      min={0}
      max={POSITIONS}
      step="any"
      value={part * POSITIONS}
      disabled={disabled}
      onKeyDown={pressed}
      onChange={(event) => slide(event.target.valueAsNumber)}
    />
  );
}
