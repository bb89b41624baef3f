import { type KeyboardEvent, useLayoutEffect, useRef } from "react";
import { TextArea, TextField } from "@/components/ui";
import { useCaret } from "@/hooks/useCaret";
import { t } from "@/i18n";
import { weigh } from "@/model/promptWeights";
import { defaultOf } from "@/model/spec";
import { checkValue } from "@/model/widgets";
import { usePromptCompletion } from "./PromptCompletion";
import type { WidgetProps } from "./types";
import { useMarks, WidgetFrame } from "./WidgetFrame";
import styles from "./widgets.module.css";

const STEP = 0.1;
const FINE_STEP = 0.05;

interface Props extends WidgetProps {
  readonly multiline: boolean;
  /** Whether the arrow keys weigh words. */
  readonly prompt: boolean;
}

export function TextWidget(props: Props) {
  return props.multiline ? <LongText {...props} /> : <ShortText {...props} />;
}

function ShortText(props: Props) {
  const { input, value, onChange, id, disabled } = props;
  const field = useRef<HTMLInputElement>(null);
  const fault = faultOf(props);
  const marks = useMarks(props, fault);
  const text = textOf(value ?? defaultOf(input));
  useCaret(field, text);
  return (
    <WidgetFrame marks={marks} fault={fault}>
      <TextField
        id={id}
        ref={field}
        {...marks.field}
        value={text}
        disabled={disabled}
        invalid={fault !== null}
        className="nodrag"
        onChange={onChange}
      />
    </WidgetFrame>
  );
}

function LongText(props: Props) {
  const { value, onChange, id, disabled, input, prompt, loras, hint } = props;
  const area = useRef<HTMLTextAreaElement>(null);
  const select = useRef<readonly [number, number] | null>(null);
  /** The text as a node was added for it; null if none was. */
  const put = useRef<string | null>(null);
  const fault = faultOf(props);
  const marks = useMarks(props, fault);
  const text = textOf(value ?? defaultOf(input));

  useCaret(area, text);
  // React puts the caret at the end of a text that it didn't see being typed.
  useLayoutEffect(() => {
    if (select.current !== null) area.current?.setSelectionRange(...select.current);
    select.current = null;
  });

  const completion = usePromptCompletion({
    area,
    text,
    onTake: (next, caret, { lora, embedding }) => {
      select.current = [caret, caret];
      if (lora) loras?.put(lora, next);
      else if (embedding) loras?.teach(embedding, next);
      else onChange(next);
      put.current = lora || embedding ? next : null;
    },
    loras,
  });

  function pressed(event: KeyboardEvent<HTMLTextAreaElement>) {
    if (prompt && completion.pressed(event)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    // The browser takes back what was typed, and knows nothing of nodes.
    if (isUndo(event) && put.current === text) {
      event.preventDefault();
      put.current = null;
      loras?.undo();
      return;
    }
    const step = prompt ? weightStep(event) : null;
    if (step === null) return;
    event.preventDefault();
    event.stopPropagation();
    const { selectionStart, selectionEnd } = event.currentTarget;
    const weighed = weigh(text, selectionStart, selectionEnd, step);
    select.current = [weighed.start, weighed.end];
    if (weighed.text !== text) onChange(weighed.text);
  }

  return (
    <WidgetFrame marks={marks} fault={fault}>
      <TextArea
        id={id}
        ref={area}
        {...marks.field}
        value={text}
        rows={2}
        autoGrow
        spellCheck={prompt}
        disabled={disabled}
        invalid={fault !== null}
        placeholder={prompt ? (hint ?? t("widgets.promptHint")) : ""}
        title={prompt ? t("widgets.weightHint") : undefined}
        className={`${styles.area} nodrag nopan`}
        onChange={(next) => {
          onChange(next);
          if (prompt) completion.typed(next);
        }}
        onKeyDown={pressed}
        {...(prompt && completing(completion))}
      />
      {prompt && completion.list}
    </WidgetFrame>
  );
}

function completing(completion: ReturnType<typeof usePromptCompletion>) {
  const { field, load, moved, close, composed } = completion;
  return { ...field, onFocus: load, onSelect: moved, onBlur: close, onCompositionEnd: composed };
}

function isUndo({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): boolean {
  return (ctrlKey || metaKey) && !altKey && !shiftKey && key.toLowerCase() === "z";
}

/** How much heavier the words get; null for other keys. */
function weightStep(event: KeyboardEvent): number | null {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return null;
  const step = event.shiftKey ? FINE_STEP : STEP;
  if (event.key === "ArrowUp") return step;
  return event.key === "ArrowDown" ? -step : null;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function faultOf({ input, value, problem }: WidgetProps): string | null {
  return (value === undefined ? null : checkValue(input, value)) ?? problem ?? null;
}
