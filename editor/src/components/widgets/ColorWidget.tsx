import { TextField } from "@/components/ui";
import { t } from "@/i18n";
import { defaultOf } from "@/model/spec";
import { checkValue } from "@/model/widgets";
import type { WidgetProps } from "./types";
import { type TextReading, useDraft } from "./useDraft";
import { useMarks, WidgetFrame } from "./WidgetFrame";
import styles from "./widgets.module.css";

/** A colour, picked or written as #rrggbb. */
export function ColorWidget(props: WidgetProps) {
  const { input, value, onChange, id, disabled, label } = props;
  const usual = textOf(defaultOf(input));
  const draft = useDraft({
    id,
    shown: textOf(value),
    read: (text) => readColor(text, props),
    onChange,
  });
  const marks = useMarks(props, draft.fault);
  return (
    <WidgetFrame marks={marks} fault={draft.fault ?? props.problem}>
      <div className={`${styles.color} nodrag`}>
        <input
          type="color"
          aria-label={t("widgets.pickColor", { name: label ?? input.name })}
          disabled={disabled}
          value={sixDigits(textOf(value) || usual)}
          onChange={(event) => {
            draft.reset();
            onChange(event.target.value);
          }}
        />
        <TextField
          id={id}
          {...marks.field}
          value={draft.text}
          placeholder={usual || "#rrggbb"}
          disabled={disabled}
          invalid={marks.field["aria-invalid"]}
          onChange={draft.change}
          onBlur={draft.leave}
        />
      </div>
    </WidgetFrame>
  );
}

function readColor(text: string, { input }: WidgetProps): TextReading {
  const plain = text.trim();
  if (plain === "")
    return input.required ? { fault: t("widgets.missingColor") } : { value: undefined };
  const found = /^#?([\da-f]{3}|[\da-f]{6}|[\da-f]{8})$/i.exec(plain)?.[1];
  if (found === undefined) return { fault: t("widgets.notColor") };
  const color = `#${found.toLowerCase()}`;
  const wrong = checkValue(input, color);
  return wrong === null ? { value: color } : { fault: wrong };
}

/** What the browser's picker takes: without transparency, and not in the short form. */
function sixDigits(color: string): string {
  const digits = /^#([\da-f]{3,8})$/i.exec(color)?.[1] ?? "";
  if (digits.length === 3) return `#${[...digits].map((digit) => digit + digit).join("")}`;
  return digits.length >= 6 ? `#${digits.slice(0, 6)}` : "#000000";
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
