import { type ReactNode, useId } from "react";
import { Field, NumberField, Select, Toggle } from "@/components/ui";
import { t } from "@/i18n";
import { type Settings, setSetting, useSettings } from "@/store/settings";
import styles from "./rows.module.css";

type KeysOf<T> = { [K in keyof Settings]: Settings[K] extends T ? K : never }[keyof Settings];

interface RowProps<K> {
  readonly name: K;
  /** A sentence under the label; its key is the name and "Help". */
  readonly help?: boolean;
}

function helpOf(name: string, help: boolean | undefined): string | undefined {
  return help ? t(`settings.${name}Help`) : undefined;
}

/** A setting that is on or off. */
export function ToggleRow({ name, help }: RowProps<KeysOf<boolean>>) {
  const checked = useSettings((settings) => settings[name]);
  const id = useId();
  return (
    <Field inline id={id} label={t(`settings.${name}`)} help={helpOf(name, help)}>
      <Toggle
        id={id}
        checked={checked}
        describedBy={help ? `${id}-help` : undefined}
        onChange={(next) => setSetting(name, next)}
      />
    </Field>
  );
}

interface ChoiceProps<K extends KeysOf<string>> extends RowProps<K> {
  /** Each choice's text has the key of the name, a dot and the choice. */
  readonly choices: readonly Settings[K][];
}

/** A setting with a handful of choices. */
export function ChoiceRow<K extends KeysOf<string>>({ name, help, choices }: ChoiceProps<K>) {
  const value = useSettings((settings) => settings[name]);
  const id = useId();
  return (
    <Field inline id={id} label={t(`settings.${name}`)} help={helpOf(name, help)}>
      <Select
        id={id}
        value={value}
        options={choices.map((choice) => ({
          value: choice,
          label: t(`settings.${name}.${choice}`),
        }))}
        onChange={(next) => {
          const chosen = choices.find((choice) => choice === next);
          if (chosen !== undefined) setSetting(name, chosen);
        }}
      />
    </Field>
  );
}

interface NumberProps extends RowProps<KeysOf<number>> {
  readonly min: number;
  readonly max: number;
  readonly suffix: string;
}

export function NumberRow({ name, help, min, max, suffix }: NumberProps) {
  const value = useSettings((settings) => settings[name]);
  const id = useId();
  return (
    <Field inline id={id} label={t(`settings.${name}`)} help={helpOf(name, help)}>
      <NumberField
        id={id}
        value={value}
        min={min}
        max={max}
        integer
        suffix={suffix}
        onChange={(next) => setSetting(name, next)}
      />
    </Field>
  );
}

export function Section({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ReactNode;
}) {
  return (
    <section className={styles.section}>
      <h3 className={styles.title}>{title}</h3>
      {children}
    </section>
  );
}
