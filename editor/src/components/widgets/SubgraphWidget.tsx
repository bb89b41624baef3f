import { Combobox } from "@/components/ui";
import { t } from "@/i18n";
import { useWidgetServices } from "./services";
import type { WidgetProps } from "./types";
import { useMarks, WidgetFrame } from "./WidgetFrame";
import styles from "./widgets.module.css";

/** Names one of the workflow's own sub-graphs. */
export function SubgraphWidget(props: WidgetProps) {
  const { value, onChange, id, disabled, label } = props;
  const names = useWidgetServices().useSubgraphs();
  const chosen = typeof value === "string" ? value : "";
  const isGone = chosen !== "" && !names.includes(chosen);
  const fault = isGone ? t("widgets.noSubgraph", { name: chosen }) : (props.problem ?? null);
  const marks = useMarks(props, fault);
  return (
    <WidgetFrame marks={marks} fault={fault}>
      <Combobox
        id={id}
        value={chosen}
        options={names.map((name) => ({ value: name, label: name }))}
        label={label}
        placeholder={names.length === 0 ? t("widgets.noSubgraphs") : t("widgets.choose")}
        disabled={disabled}
        invalid={fault !== null}
        describedBy={marks.field["aria-describedby"]}
        className={`${styles.choice} nodrag`}
        onChange={onChange}
      />
    </WidgetFrame>
  );
}
