import { Combobox } from "@/components/ui";
import { t } from "@/i18n";
import { defaultOf } from "@/model/spec";
import { useWidgetServices } from "./services";
import type { WidgetProps } from "./types";
import { useMarks, WidgetFrame } from "./WidgetFrame";
import styles from "./widgets.module.css";

/** A model by its name under the models folders; another name or path may be typed too. */
export function ModelWidget(props: WidgetProps & { readonly kind: string }) {
  const { input, value, onChange, id, disabled, label, kind } = props;
  const models = useWidgetServices().useModels(kind);
  const counts = value ?? defaultOf(input);
  const chosen = typeof counts === "string" ? counts : "";
  const found = models?.find((model) => model.value === chosen);
  const fault = found?.problem ?? props.problem ?? null;
  const marks = useMarks(props, fault);
  const options = (models ?? []).map((model) => ({
    value: model.value,
    label: model.name,
    hint: model.problem ?? model.detail,
    picture: model.picture ?? undefined,
  }));
  return (
    <WidgetFrame marks={marks} fault={fault}>
      <Combobox
        id={id}
        value={chosen}
        options={options}
        label={label}
        placeholder={models === null ? t("widgets.reading") : t("widgets.choose")}
        disabled={disabled}
        invalid={fault !== null}
        describedBy={marks.field["aria-describedby"]}
        allowCustom
        className={`${styles.choice} nodrag`}
        onChange={onChange}
      />
    </WidgetFrame>
  );
}
