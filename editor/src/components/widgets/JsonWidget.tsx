import { TextArea } from "@/components/ui";
import { t } from "@/i18n";
import { type Json, JsonFault, readJson, writeJson } from "@/model/json";
import { defaultOf } from "@/model/spec";
import { checkValue } from "@/model/widgets";
import type { WidgetProps } from "./types";
import { type TextReading, useDraft } from "./useDraft";
import { useMarks, WidgetFrame } from "./WidgetFrame";
import styles from "./widgets.module.css";

/** A value that has no field of its own, as JSON. */
export function JsonWidget(props: WidgetProps) {
  const { input, value, onChange, id, disabled } = props;
  const draft = useDraft({
    id,
    shown: textOf(value),
    read: (text) => readText(text, props),
    onChange,
  });
  const marks = useMarks(props, draft.fault);
  return (
    <WidgetFrame marks={marks} fault={draft.fault ?? props.problem}>
      <TextArea
        id={id}
        {...marks.field}
        value={draft.text}
        rows={2}
        autoGrow
        spellCheck={false}
        disabled={disabled}
        invalid={marks.field["aria-invalid"]}
        placeholder={textOf(defaultOf(input)) || t("widgets.jsonHint")}
        className={`${styles.area} ${styles.json} nodrag nopan`}
        onChange={draft.change}
        onBlur={draft.leave}
      />
    </WidgetFrame>
  );
}

function textOf(value: Json | undefined): string {
  return value === undefined ? "" : writeJson(value).trimEnd();
}

function readText(text: string, { input }: WidgetProps): TextReading {
  if (text.trim() === "") {
    return input.required ? { fault: t("widgets.missingJson") } : { value: undefined };
  }
  try {
    const value = readJson(text);
    const wrong = checkValue(input, value);
    return wrong === null ? { value } : { fault: wrong };
  } catch (fault) {
    if (!(fault instanceof JsonFault)) throw fault;
    const { line, column, message } = fault;
    return { fault: t("widgets.notJson", { line, column, message }) };
  }
}
