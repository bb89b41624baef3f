import { useId, useMemo, useState } from "react";
import { Combobox, Field, TextArea, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { renameParameter, updateParameter } from "@/model/edits";
import type { Parameter } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useActive, useDocuments } from "@/store/documents";
import styles from "./ParametersPanel.module.css";
import { candidatesOf } from "./resolve";

interface Props {
  readonly id: string;
  readonly name: string;
  readonly parameter: Parameter;
  readonly onRenamed: (name: string) => void;
}

/** What a parameter is called, what is said of it, and the input that it varies. */
export function ParameterForm({ id, name, parameter, onRenamed }: Props) {
  const own = useId();

  function describe(changes: { label?: string; help?: string }) {
    const key = Object.keys(changes).join();
    useDocuments
      .getState()
      .change("parameters.described", (w) => updateParameter(w, name, changes), {
        merge: `parameter:${name}.${key}`,
      });
  }

  return (
    <div id={id} className={styles.form}>
      <NameField name={name} onRenamed={onRenamed} />
      <Field label={t("parameters.label")} id={`${own}-label`}>
        <TextField
          id={`${own}-label`}
          value={parameter.label}
          placeholder={name}
          onChange={(label) => describe({ label })}
        />
      </Field>
      <Field label={t("parameters.help")} id={`${own}-help`}>
        <TextArea
          id={`${own}-help`}
          rows={2}
          autoGrow
          value={parameter.help}
          onChange={(help) => describe({ help })}
        />
      </Field>
      <TargetField id={`${own}-input`} name={name} parameter={parameter} />
    </div>
  );
}

/** The name is taken when the field is left: while it is typed, it may be another one's. */
function NameField({ name, onRenamed }: Pick<Props, "name" | "onRenamed">) {
  const id = useId();
  const names = useActive((_, workflow) => workflow.parameters);
  const [text, setText] = useState(name);
  const [base, setBase] = useState(name);
  if (base !== name) {
    setBase(name);
    setText(name);
  }
  const fault = faultOf(text, name, names);

  function rename(typed: string) {
    const wanted = typed.trim();
    if (wanted === name) return setText(name);
    if (faultOf(wanted, name, names) !== null) return;
    useDocuments.getState().change("parameters.renamed", (w) => renameParameter(w, name, wanted));
    onRenamed(wanted);
  }

  return (
    <Field
      label={t("parameters.name")}
      id={id}
      help={t("parameters.nameHelp", { name: text.trim() || name })}
      error={fault}
    >
      <TextField
        id={id}
        value={text}
        invalid={fault !== null}
        aria-describedby={fault === null ? `${id}-help` : `${id}-error`}
        onChange={setText}
        onCommit={rename}
        onKeyDown={(event) => {
          if (event.key === "Escape" && text !== name) {
            event.stopPropagation();
            setText(name);
          }
        }}
      />
    </Field>
  );
}

function faultOf(text: string, name: string, names: ReadonlyMap<string, unknown>): string | null {
  const wanted = text.trim();
  if (wanted === "") return t("parameters.emptyName");
  if (wanted === name) return null;
  if (names.has(wanted)) return t("parameters.takenName");
  return /^[^\s./=]+$/.test(wanted) ? null : t("parameters.badName");
}

function TargetField({ id, name, parameter }: { id: string; name: string; parameter: Parameter }) {
  const types = useCatalogue((state) => state.types);
  const workflow = useActive((_, w) => w);
  const options = useMemo(
    () =>
      candidatesOf(types, workflow).map(({ target, value }) => ({
        value: target,
        label: target,
        hint: value || undefined,
      })),
    [types, workflow],
  );
  return (
    <Field label={t("parameters.input")} id={id}>
      <Combobox
        id={id}
        value={parameter.input}
        options={[{ value: parameter.input, label: parameter.input }, ...options]}
        onChange={(input) =>
          useDocuments
            .getState()
            .change("parameters.retargeted", (w) => updateParameter(w, name, { input }))
        }
      />
    </Field>
  );
}
