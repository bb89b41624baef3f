import { useId, useState } from "react";
import { Button, Field, Toggle } from "@/components/ui";
import { t } from "@/i18n";
import { forgetPrompts, keptPrompts } from "@/store/promptHistory";
import { type Confirmations, setConfirmation, useSettings } from "@/store/settings";
import { ChoiceRow, Section, ToggleRow } from "./rows";

const QUESTIONS: readonly (keyof Confirmations)[] = ["closeUnsaved", "deleteResults", "clearQueue"];

export function WorkSettings() {
  return (
    <>
      <Section title={t("settings.opening")}>
        <ChoiceRow name="startPage" help choices={["last", "editor", "generate"]} />
      </Section>
      <Section title={t("settings.keeping")}>
        <ToggleRow name="autosave" help />
        <PromptsRow />
      </Section>
      <Section title={t("settings.confirmations")}>
        {QUESTIONS.map((name) => (
          <ConfirmationRow key={name} name={name} />
        ))}
      </Section>
    </>
  );
}

/** The prompts that were run, which are proposed again. */
function PromptsRow() {
  const [count, setCount] = useState(() => keptPrompts().length);
  const id = useId();
  const forget = () => {
    forgetPrompts();
    setCount(0);
  };
  return (
    <Field inline id={id} label={t("settings.prompts", { count })} help={t("settings.promptsHelp")}>
      <Button id={id} size="s" disabled={count === 0} onClick={forget}>
        {t("settings.forgetPrompts")}
      </Button>
    </Field>
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
