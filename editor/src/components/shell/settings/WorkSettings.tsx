import { useId } from "react";
import { Field, Toggle } from "@/components/ui";
import { t } from "@/i18n";
import { type Confirmations, setConfirmation, useSettings } from "@/store/settings";
import { Section, ToggleRow } from "./rows";

const QUESTIONS: readonly (keyof Confirmations)[] = ["closeUnsaved", "deleteResults", "clearQueue"];

export function WorkSettings() {
  return (
    <>
      <Section title={t("settings.keeping")}>
        <ToggleRow name="autosave" help />
      </Section>
      <Section title={t("settings.confirmations")}>
        {QUESTIONS.map((name) => (
          <ConfirmationRow key={name} name={name} />
        ))}
      </Section>
    </>
  );
}

function ConfirmationRow({ name }: { readonly name: keyof Confirmations }) {
  const checked = useSettings((settings) => settings.confirmations[name]);
  const id = useId();
  return (
    <Field inline id={id} label={t(`settings.confirm.${name}`)}>
      <Toggle id={id} checked={checked} onChange={(next) => setConfirmation(name, next)} />
    </Field>
  );
}
