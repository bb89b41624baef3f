import { memo, useCallback, useMemo, useRef } from "react";
import type { Finding } from "@/api/schema";
import { resolveParameter } from "@/components/parameters/resolve";
import { inputLabel, type SeedMode, Widget } from "@/components/widgets";
import { problemAt } from "@/components/widgets/useInputProblem";
import { t } from "@/i18n";
import { setInput, setSeedMode } from "@/model/edits";
import type { Json } from "@/model/json";
import { literalJson } from "@/model/links";
import { seedModeOf } from "@/model/seeds";
import { widgetOf } from "@/model/widgets";
import type { Parameter, Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useActive, useDocuments } from "@/store/documents";
import { usePlan } from "@/store/plan";
import styles from "./AppMode.module.css";

interface Props {
  readonly document: string;
  readonly name: string;
  readonly parameter: Parameter;
}

/** One parameter: what it is called, what it means, and its widget. */
export const AppField = memo(function AppField({ document, name, parameter }: Props) {
  const types = useCatalogue((state) => state.types);
  const workflow = useActive((_, w) => w);
  const found = useMemo(
    () => resolveParameter(types, workflow, parameter),
    [types, workflow, parameter],
  );
  const id = `app/${document}/${name}`;
  const label = parameter.label || inputLabel({ name });
  const change = useChange(document, parameter.input);
  if (found.state !== "good") {
    // Before the node types are there, nothing is wrong yet.
    if (types === null) return null;
    return (
      <div className={styles.field}>
        <span className={styles.label}>{label}</span>
        <p className={styles.note}>{t(`appmode.${found.state}`, { target: found.target })}</p>
      </div>
    );
  }
  const { node, input, value } = found;
  const help = parameter.help || input.help;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: leaving a field ends an undo step
    <div className={styles.field} onBlur={change.pause} onPointerUp={change.pause}>
      <label htmlFor={id} className={styles.label}>
        {label}
      </label>
      {help && <p className={styles.help}>{help}</p>}
      <Field
        id={id}
        node={node}
        input={input}
        value={value}
        workflow={workflow}
        onChange={change.give}
        onPause={change.pause}
      />
    </div>
  );
});

interface FieldProps {
  readonly id: string;
  readonly node: string;
  readonly input: Parameters<typeof Widget>[0]["input"];
  readonly value: Json | undefined;
  readonly workflow: Workflow;
  readonly onChange: (value: Json | undefined) => void;
  readonly onPause: () => void;
}

function Field({ id, node, input, value, workflow, onChange, onPause }: FieldProps) {
  const problem = usePlan(({ problems }) => problemOf(problems, workflow, node, input.name));
  const isSeed = useMemo(() => widgetOf(input)?.kind === "seed", [input]);
  const onMode = (mode: SeedMode) =>
    useDocuments
      .getState()
      .change("widgets.seedModeChanged", (w) =>
        setSeedMode(w, null, node, input.name, mode === "fixed" ? null : mode),
      );
  const seed = { mode: seedModeOf(workflow, null, `${node}.${input.name}`), onMode };
  return (
    <Widget
      id={id}
      input={input}
      value={value}
      onChange={onChange}
      onPause={onPause}
      problem={problem}
      seed={isSeed ? seed : undefined}
    />
  );
}

function problemOf(
  problems: readonly Finding[],
  workflow: Workflow,
  node: string,
  port: string,
): string | null {
  return problems.length === 0 ? null : problemAt(problems, workflow, null, node, port);
}

/** Values go into the document itself, so that undo, saving and the graph know of them. */
function useChange(document: string, target: string) {
  const go = useRef(0);
  const give = useCallback(
    (value: Json | undefined) => {
      const dot = target.indexOf(".");
      const [node, port] = [target.slice(0, dot), target.slice(dot + 1)];
      const json = value === undefined ? undefined : literalJson(value);
      useDocuments
        .getState()
        .change("parameters.change", (w) => setInput(w, null, node, port, json), {
          merge: `input:${target}#app${go.current}`,
          document,
        });
    },
    [document, target],
  );
  const pause = useCallback(() => {
    go.current += 1;
  }, []);
  return { give, pause };
}
