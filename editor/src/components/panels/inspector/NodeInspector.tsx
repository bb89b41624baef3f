/** All that can be set of one node, and what became of it in the last run. */
import { CircleAlert, CircleHelp, Pencil } from "lucide-react";
import { useId } from "react";
import { Badge, Button, EmptyState, Field, IconButton, TextArea, Toggle } from "@/components/ui";
import { t } from "@/i18n";
import { colorOf } from "@/model/compat";
import { renameNode, setAlways, setColor, setInput, setLabel, setNote } from "@/model/edits";
import { layoutOf } from "@/model/layout";
import { nodesOf } from "@/model/scope";
import { type NodeSpec, type NodeTypes, typeOf } from "@/model/spec";
import type { NodeEntry } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { askText, useUi } from "@/store/ui";
import { Dot } from "../lib/NodePreview";
import { edit } from "./change";
import { InputField } from "./InputField";
import styles from "./Inspector.module.css";
import { ModeChoice } from "./ModeChoice";
import { grouped, type InputRow, inputRow, strayInputs, usesOfOutputs } from "./ports";
import { RunFacts } from "./RunFacts";
import { Section } from "./Section";
import { Swatches } from "./Swatches";
import { useDraft } from "./useDraft";

export function NodeInspector({ name }: { readonly name: string }) {
  const types = useCatalogue((catalogue) => catalogue.types);
  const entry = useActive((_document, workflow, scope) => nodesOf(workflow, scope).get(name));
  const spec = useActive((_document, workflow, scope) => {
    const found = nodesOf(workflow, scope).get(name);
    return types === null || found === undefined ? null : typeOf(types, workflow, found);
  });
  if (entry === undefined) return null;
  return (
    <div className={styles.panel}>
      <Head name={name} entry={entry} spec={spec} />
      {spec === null && types !== null && <UnknownType type={entry.type} />}
      <RunFacts name={name} />
      {types !== null && spec !== null && <Inputs name={name} types={types} spec={spec} />}
      <Strays name={name} entry={entry} spec={spec} />
      {types !== null && spec !== null && <Outputs name={name} types={types} spec={spec} />}
      <Looks name={name} entry={entry} />
    </div>
  );
}

interface HeadProps {
  readonly name: string;
  readonly entry: NodeEntry;
  readonly spec: NodeSpec | null;
}

function Head({ name, entry, spec }: HeadProps) {
  const showHelp = useUi((ui) => ui.showHelp);
  const [draft, setDraft] = useDraft(entry.label);
  const save = () =>
    edit("panels.edit.label", (w, scope) => setLabel(w, scope, name, draft.trim()));
  return (
    <header className={styles.head}>
      <div className={styles.headRow}>
        <input
          className={styles.label}
          aria-label={t("panels.inspector.label")}
          placeholder={spec?.label || entry.type}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
          onBlur={save}
          onKeyDown={(event) => event.key === "Enter" && save()}
        />
        <IconButton
          icon={CircleHelp}
          size="s"
          label={t("panels.inspector.help")}
          onClick={() => showHelp(entry.type)}
        />
      </div>
      <div className={styles.type}>
        <span>{spec?.label || entry.type}</span>
        <code>{name}</code>
        <IconButton
          icon={Pencil}
          size="s"
          label={t("panels.inspector.rename")}
          onClick={() => void rename(name)}
        />
        {spec?.deprecated && <Badge tone="warn">{t("panels.help.deprecated")}</Badge>}
        {spec?.experimental && <Badge tone="info">{t("panels.help.experimental")}</Badge>}
      </div>
    </header>
  );
}

/** Ask for another name; links, parameters and blocks follow. */
async function rename(name: string): Promise<void> {
  const given = await askText({
    title: t("panels.inspector.renameTitle"),
    detail: t("panels.inspector.renameDetail"),
    confirm: t("panels.inspector.rename"),
    text: { label: t("panels.inspector.name"), value: name },
  });
  const wanted = given?.trim();
  if (wanted === undefined || wanted === "" || wanted === name) return;
  edit("panels.edit.rename", (w, scope) => renameNode(w, scope, name, wanted), {
    select: [wanted],
  });
}

function UnknownType({ type }: { readonly type: string }) {
  const openDialog = useUi((ui) => ui.openDialog);
  return (
    <EmptyState icon={CircleAlert} title={t("panels.inspector.unknownType", { type })}>
      <p>{t("panels.inspector.unknownTypeHint")}</p>
      <Button size="s" onClick={() => openDialog("missing")}>
        {t("panels.inspector.whatIsMissing")}
      </Button>
    </EmptyState>
  );
}

interface PortsProps {
  readonly name: string;
  readonly types: NodeTypes;
  readonly spec: NodeSpec;
}

function Inputs({ name, types, spec }: PortsProps) {
  const { workflow, scope, entry } = useActive((_document, found, shown) => ({
    workflow: found,
    scope: shown,
    entry: nodesOf(found, shown).get(name),
  }));
  if (entry === undefined || spec.inputs.length === 0) return null;
  const layout = layoutOf(workflow, scope);
  const rows = spec.inputs.map((input) =>
    inputRow(workflow, layout, { name, entry, isRoot: scope === null }, input),
  );
  const { plain, advanced } = grouped(rows);
  const list = (found: readonly InputRow[]) =>
    found.map((row) => (
      <InputField key={row.input.name} node={name} row={row} types={types} scope={scope} />
    ));
  return (
    <>
      {plain.map((group) =>
        group.rows.length === 0 ? null : (
          <Section
            key={group.name}
            name={group.name === "" ? "inputs" : `inputs.${group.name}`}
            title={group.name || t("panels.inspector.inputs")}
          >
            {list(group.rows)}
          </Section>
        ),
      )}
      {advanced.length > 0 && (
        <Section
          name="advanced"
          title={t("panels.inspector.advanced")}
          count={advanced.length}
          closed={!advanced.some((row) => row.isGiven)}
        >
          {list(advanced)}
        </Section>
      )}
    </>
  );
}

function Strays({ name, entry, spec }: HeadProps) {
  const strays = spec === null ? [] : strayInputs(spec, entry);
  if (strays.length === 0) return null;
  return (
    <Section name="strays" title={t("panels.inspector.strays")} count={strays.length}>
      <p className={styles.faint}>{t("panels.inspector.straysHint")}</p>
      {strays.map((port) => (
        <div key={port} className={styles.stray}>
          <code>{port}</code>
          <Button
            size="s"
            onClick={() =>
              edit("panels.edit.removeInput", (w, scope) =>
                setInput(w, scope, name, port, undefined),
              )
            }
          >
            {t("panels.inspector.remove")}
          </Button>
        </div>
      ))}
    </Section>
  );
}

function Outputs({ name, types, spec }: PortsProps) {
  const nodes = useActive((_document, workflow, scope) => nodesOf(workflow, scope));
  if (spec.outputs.length === 0) return null;
  const uses = usesOfOutputs(nodes, name, spec);
  return (
    <Section name="outputs" title={t("panels.inspector.outputs")}>
      {spec.outputs.map((output, index) => (
        <div key={output.name} className={styles.input}>
          <div className={styles.inputHead}>
            <Dot color={colorOf(types, output.type)} />
            <span className={styles.name}>{output.label ?? output.name}</span>
            <small>{output.type}</small>
          </div>
          <div className={styles.users}>
            {uses[index]?.users.map((user) => (
              <button
                key={`${user.node}.${user.port}`}
                type="button"
                className={styles.end}
                onClick={() => focusNode({ node: user.node, port: user.port })}
              >
                {user.node}.{user.port}
              </button>
            ))}
            {uses[index]?.users.length === 0 && (
              <span className={styles.empty}>{t("panels.inspector.unused")}</span>
            )}
          </div>
        </div>
      ))}
    </Section>
  );
}

function Looks({ name, entry }: Omit<HeadProps, "spec">) {
  const id = useId();
  const color = useActive(
    (_document, workflow, scope) => layoutOf(workflow, scope).colors.get(name) ?? "",
  );
  return (
    <Section name="node" title={t("panels.inspector.node")}>
      <ModeChoice names={[name]} mode={entry.mode} />
      <div className={styles.line}>
        <label htmlFor={`${id}-always`}>{t("panels.inspector.always")}</label>
        <Toggle
          id={`${id}-always`}
          checked={entry.always}
          onChange={(always) =>
            edit("panels.edit.always", (w, scope) => setAlways(w, scope, [name], always))
          }
        />
      </div>
      <Swatches
        label={t("panels.inspector.colorOf")}
        value={color}
        onChange={(next) =>
          edit("panels.edit.color", (w, scope) => setColor(w, scope, [name], next), {
            merge: `color:${name}`,
          })
        }
      />
      <Field label={t("panels.inspector.note")} id={`${id}-note`}>
        <TextArea
          id={`${id}-note`}
          value={entry.note}
          rows={2}
          autoGrow
          onChange={(note) =>
            edit("panels.edit.note", (w, scope) => setNote(w, scope, name, note), {
              merge: `note:${name}`,
            })
          }
        />
      </Field>
    </Section>
  );
}
