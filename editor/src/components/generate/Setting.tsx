import type { ReactNode } from "react";
import { cx } from "@/components/ui";
import { Widget, type WidgetProps } from "@/components/widgets";
import { t } from "@/i18n";
import type { Field } from "@/model/generate";
import { type Json, numberOf } from "@/model/json";
import { inputOf } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import styles from "./GeneratePage.module.css";
import { useFault } from "./useFaults";

interface SettingProps {
  readonly field: Field;
  readonly id: string;
  readonly label: string;
  readonly children: ReactNode;
  /** Beside the label. */
  readonly end?: ReactNode;
  /** Whether the control itself says what is wrong. */
  readonly saysFault?: boolean;
  readonly className?: string | undefined;
}

/** A field of the page: its label, its control, and what is wrong with it. */
export function Setting(props: SettingProps) {
  const { field, id, label, children, end, saysFault = false, className } = props;
  const fault = useFault(field);
  return (
    <div className={cx(styles.setting, className)} data-field={field}>
      <div className={styles.settingHead}>
        <label htmlFor={id} className={styles.label}>
          {label}
        </label>
        {end}
      </div>
      {children}
      {fault !== null && !saysFault && (
        <p role="alert" className={styles.fault}>
          {fault}
        </p>
      )}
    </div>
  );
}

interface NodeFieldProps extends Pick<WidgetProps, "loras" | "onMasked" | "hint"> {
  readonly field: Field;
  /** The node's type and its input, whose values, choices and limits are the field's. */
  readonly type: string;
  readonly port: string;
  readonly value: Json;
  readonly onChange: (value: Json) => void;
  readonly end?: ReactNode;
  readonly className?: string | undefined;
}

/** A field that is an input of a node, with the widget that it has in the graph. */
export function NodeField({ field, type, port, value, onChange, end, ...props }: NodeFieldProps) {
  const spec = useCatalogue(({ types }) => types?.byName.get(type));
  const fault = useFault(field);
  const input = spec && inputOf(spec, port);
  const id = `generate/${field}`;
  if (!input) return null;
  return (
    <Setting
      field={field}
      id={id}
      label={t(`generate.field.${field}`)}
      end={end}
      saysFault
      className={props.className}
    >
      <Widget
        id={id}
        input={input}
        value={value}
        problem={fault}
        loras={props.loras}
        onMasked={props.onMasked}
        hint={props.hint}
        // An emptied field is as usual.
        onChange={(next) => onChange(next ?? (input.default as Json))}
      />
    </Setting>
  );
}

/** The number that a widget gave. */
export function number(value: Json, usual: number): number {
  return numberOf(value) ?? usual;
}
