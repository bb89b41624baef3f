import { Toggle } from "@/components/ui";
import { t } from "@/i18n";
import { defaultOf } from "@/model/spec";
import type { WidgetProps } from "./types";
import { useMarks, WidgetFrame } from "./WidgetFrame";
import styles from "./widgets.module.css";

export function ToggleWidget(props: WidgetProps) {
  const { input, value, onChange, id, disabled, label } = props;
  const marks = useMarks(props);
  const checked = (value ?? defaultOf(input)) === true;
  return (
    <WidgetFrame marks={marks} fault={props.problem}>
      <div className={`${styles.toggle} nodrag`}>
        <Toggle
          id={id}
          checked={checked}
          onChange={onChange}
          label={label}
          disabled={disabled}
          describedBy={marks.field["aria-describedby"]}
        />
        <span aria-hidden className={styles.state}>
          {checked ? t("widgets.on") : t("widgets.off")}
        </span>
      </div>
    </WidgetFrame>
  );
}
