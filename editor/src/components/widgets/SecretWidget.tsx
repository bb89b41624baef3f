import { useEffect, useState } from "react";
import { Combobox } from "@/components/ui";
import { t } from "@/i18n";
import { defaultOf } from "@/model/spec";
import { type SecretChoice, useWidgetServices } from "./services";
import type { WidgetProps } from "./types";
import { useMarks, WidgetFrame } from "./WidgetFrame";
import styles from "./widgets.module.css";

/** The name of one of the server's secrets. Values are set elsewhere and never come here. */
export function SecretWidget(props: WidgetProps) {
  const { input, value, onChange, id, disabled, label } = props;
  const { secrets } = useWidgetServices();
  const [known, setKnown] = useState<readonly SecretChoice[]>([]);
  useEffect(() => {
    let isShown = true;
    // Without an answer, a name can still be typed.
    secrets()
      .then((all) => isShown && setKnown(all))
      .catch(() => undefined);
    return () => {
      isShown = false;
    };
  }, [secrets]);
  const counts = value ?? defaultOf(input);
  const chosen = typeof counts === "string" ? counts : "";
  const fault = props.problem ?? null;
  const marks = useMarks(props, fault);
  return (
    <WidgetFrame marks={marks} fault={fault}>
      <Combobox
        id={id}
        value={chosen}
        options={known.map(({ name, hosts }) => ({
          value: name,
          label: name,
          hint: hosts.join(", "),
        }))}
        label={label}
        placeholder={t("widgets.choose")}
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
