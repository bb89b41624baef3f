import { Combobox, Select } from "@/components/ui";
import { t } from "@/i18n";
import { type Json, writeJson } from "@/model/json";
import { defaultOf } from "@/model/spec";
import { checkValue } from "@/model/widgets";
import type { WidgetProps } from "./types";
import { useMarks, WidgetFrame } from "./WidgetFrame";
import styles from "./widgets.module.css";

/** More options than these are searched rather than looked through. */
const MOST_LISTED = 6;
const NOTHING = "\u0000nothing";

export function ChoiceWidget(props: WidgetProps & { readonly options: readonly Json[] }) {
  const { input, value, onChange, id, disabled, label, options } = props;
  const fault = (value === undefined ? null : checkValue(input, value)) ?? props.problem ?? null;
  const marks = useMarks(props, fault);
  const counts = value ?? defaultOf(input) ?? null;
  const offered = options.map((option) => ({ value: keyOf(option), label: nameOf(option) }));
  if (input.nullable) offered.unshift({ value: NOTHING, label: t("widgets.notGiven") });
  const Field = options.length > MOST_LISTED ? Combobox : Select;
  return (
    <WidgetFrame marks={marks} fault={fault}>
      <Field
        id={id}
        value={counts === null ? NOTHING : keyOf(counts)}
        options={counts === null && !input.nullable ? [unset(), ...offered] : offered}
        label={label}
        disabled={disabled}
        invalid={fault !== null}
        describedBy={marks.field["aria-describedby"]}
        className={`${styles.choice} nodrag`}
        onChange={(key) => onChange(options.find((option) => keyOf(option) === key) ?? null)}
      />
    </WidgetFrame>
  );

  function unset() {
    return { value: NOTHING, label: t("widgets.choose"), disabled: true };
  }
}

function keyOf(option: Json): string {
  // The number 1 and the text "1" are two choices.
  return typeof option === "string" ? option : `\u0000${writeJson(option).trim()}`;
}

function nameOf(option: Json): string {
  return typeof option === "string" ? option : writeJson(option).trim();
}
