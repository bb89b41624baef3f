/** What several nodes have in common, set for all of them at once. */
import { useId } from "react";
import { Toggle } from "@/components/ui";
import { storeServices, Widget, WidgetServicesProvider } from "@/components/widgets";
import { t } from "@/i18n";
import { setAlways, setCollapsed, setColor, setInput } from "@/model/edits";
import { type Json, sameJson } from "@/model/json";
import { layoutOf } from "@/model/layout";
import { isLink, literalJson, literalOf } from "@/model/links";
import { nodesOf } from "@/model/scope";
import { defaultOf, type InputSpec, type NodeTypes, typeOf } from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import type { NodeEntry } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { edit } from "./change";
import styles from "./Inspector.module.css";
import { ModeChoice } from "./ModeChoice";
import { sharedInputs } from "./ports";
import { Section } from "./Section";
import { Swatches } from "./Swatches";

interface Props {
  readonly names: readonly string[];
}

export function ManyInspector({ names }: Props) {
  const id = useId();
  const types = useCatalogue((catalogue) => catalogue.types);
  const { workflow, scope } = useActive((_document, found, shown) => ({
    workflow: found,
    scope: shown,
  }));
  const nodes = nodesOf(workflow, scope);
  const layout = layoutOf(workflow, scope);
  const entries = names.map((name) => nodes.get(name)).filter((entry) => entry !== undefined);
  const color = common(names.map((name) => layout.colors.get(name) ?? ""));
  return (
    <div className={styles.panel}>
      <h2 className={styles.kind}>{t("panels.inspector.many", { count: names.length })}</h2>
      <ModeChoice names={names} mode={common(entries.map((entry) => entry.mode))} />
      <div className={styles.line}>
        <label htmlFor={`${id}-always`}>{t("panels.inspector.always")}</label>
        <Toggle
          id={`${id}-always`}
          checked={entries.every((entry) => entry.always)}
          onChange={(always) =>
            edit("panels.edit.always", (w, s) => setAlways(w, s, names, always))
          }
        />
      </div>
      <div className={styles.line}>
        <label htmlFor={`${id}-collapsed`}>{t("panels.inspector.collapsed")}</label>
        <Toggle
          id={`${id}-collapsed`}
          checked={names.every((name) => layout.collapsed.has(name))}
          onChange={(collapsed) =>
            edit("panels.edit.collapse", (w, s) => setCollapsed(w, s, names, collapsed))
          }
        />
      </div>
      <Swatches
        label={t("panels.inspector.colorOf")}
        value={color ?? ""}
        onChange={(next) =>
          edit("panels.edit.color", (w, s) => setColor(w, s, names, next), { merge: "color:many" })
        }
      />
      {types && <Shared types={types} names={names} entries={entries} />}
    </div>
  );
}

interface SharedProps extends Props {
  readonly types: NodeTypes;
  readonly entries: readonly NodeEntry[];
}

function Shared({ types, names, entries }: SharedProps) {
  const specs = useActive((_document, workflow) =>
    entries.map((entry) => typeOf(types, workflow, entry)),
  );
  const known = specs.filter((spec) => spec !== null);
  if (known.length < names.length) return null;
  const inputs = sharedInputs(known).filter(
    (input) =>
      widgetOf(input) !== null && !entries.some((entry) => isLink(entry.inputs.get(input.name))),
  );
  if (inputs.length === 0) return null;
  return (
    <Section name="shared" title={t("panels.inspector.shared")}>
      {inputs.map((input) => (
        <SharedInput key={input.name} input={input} names={names} entries={entries} />
      ))}
    </Section>
  );
}

interface SharedInputProps extends Props {
  readonly input: InputSpec;
  readonly entries: readonly NodeEntry[];
}

function SharedInput({ input, names, entries }: SharedInputProps) {
  const id = useId();
  const values = entries.map((entry) => entry.inputs.get(input.name) ?? defaultOf(input));
  const [first] = values;
  const agree = values.every((value) => sameJson(value, first));
  const set = (value: Json | undefined) => {
    const written = value === undefined ? undefined : literalJson(value);
    edit(
      "panels.edit.value",
      (workflow, scope) =>
        names.reduce((w, name) => setInput(w, scope, name, input.name, written), workflow),
      { merge: `many:${input.name}` },
    );
  };
  return (
    <div className={styles.input}>
      <div className={styles.inputHead}>
        <label htmlFor={id}>{input.label ?? input.name}</label>
        <small>{agree ? input.type : t("panels.inspector.differ")}</small>
      </div>
      <WidgetServicesProvider value={storeServices}>
        <Widget id={id} input={input} value={agree ? literalOf(first) : undefined} onChange={set} />
      </WidgetServicesProvider>
    </div>
  );
}

/** The value that all have, or undefined. */
function common<T>(values: readonly T[]): T | undefined {
  const [first] = values;
  return values.every((value) => value === first) ? first : undefined;
}
