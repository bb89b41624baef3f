/** What a node type does: its text, its ports, and templates that use it. */
import { BookOpen, FileInput, Plus, X } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { Button, EmptyState, IconButton } from "@/components/ui";
import { t } from "@/i18n";
import { colorOf } from "@/model/compat";
import { nodeNames } from "@/model/items";
import { nodesOf } from "@/model/scope";
import {
  categoryOf,
  type InputSpec,
  type NodeSpec,
  type NodeTypes,
  type OutputSpec,
  subgraphType,
  typeOf,
} from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { useActive, useDocuments } from "@/store/documents";
import { notify } from "@/store/notices";
import { useUi } from "@/store/ui";
import { readDocstring } from "./help/docstring";
import { ExamplePicture } from "./help/ExamplePicture";
import { examplesOf, type Template, templateWorkflow } from "./help/examples";
import styles from "./help/Help.module.css";
import { NodeMarks } from "./help/NodeSummary";
import { Prose } from "./help/Prose";
import { TypeIndex } from "./help/TypeIndex";
import { valueText } from "./inspector/values";
import { freeCenter } from "./lib/center";
import { insertNode } from "./lib/insert";
import { Dot } from "./lib/NodePreview";

export default function HelpPanel() {
  const types = useCatalogue((catalogue) => catalogue.types);
  const topic = useUi((ui) => ui.helpTopic);
  const showHelp = useUi((ui) => ui.showHelp);
  const spec = useTopic(types, topic);
  if (types === null) return <EmptyState icon={BookOpen} title={t("panels.help.loading")} />;
  if (spec === null) {
    return (
      <div className={styles.panel}>
        {topic !== null && <p className={styles.unknown}>{t("panels.help.unknown", { topic })}</p>}
        <TypeIndex types={types} onChoose={(type) => showHelp(type)} />
      </div>
    );
  }
  return (
    <div className={styles.panel}>
      <NodeHelp types={types} spec={spec} pinned={topic !== null} onBack={() => showHelp(null)} />
    </div>
  );
}

/** The type that was asked about, else that of the selected node. */
function useTopic(types: NodeTypes | null, topic: string | null): NodeSpec | null {
  return useActive((document, workflow, scope) => {
    if (types === null) return null;
    if (topic !== null) {
      return types.byName.get(topic) ?? subgraphType(types, workflow, topic);
    }
    const [name, other] = nodeNames(document.selection);
    const entry = name === undefined ? undefined : nodesOf(workflow, scope).get(name);
    return entry === undefined || other !== undefined ? null : typeOf(types, workflow, entry);
  });
}

interface PortsProps<Port> {
  readonly title: string;
  readonly ports: readonly Port[];
  readonly types: NodeTypes;
  readonly about: (port: Port) => ReactNode;
}

/** A section of the inputs or the outputs; nothing if there are none. */
function Ports<Port extends InputSpec | OutputSpec>(props: PortsProps<Port>) {
  const { title, ports, types, about } = props;
  if (ports.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <dl className={styles.ports}>
        {ports.map((port) => (
          <div key={port.name}>
            <dt>
              <Dot color={colorOf(types, port.type)} />
              {port.label ?? port.name}
              {port.label !== undefined && <code>{port.name}</code>}
              <small>{port.type}</small>
            </dt>
            <dd>{about(port)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

interface HelpProps {
  readonly types: NodeTypes;
  readonly spec: NodeSpec;
  /** Shown because it was asked for, not because it is selected. */
  readonly pinned: boolean;
  readonly onBack: () => void;
}

function NodeHelp({ types, spec, pinned, onBack }: HelpProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: so that it can be scrolled by keyboard
    <article className={styles.scroll} tabIndex={0} aria-label={spec.label || spec.type}>
      <header className={styles.head}>
        <div className={styles.titleRow}>
          <h2>{spec.label || spec.type}</h2>
          {pinned && (
            <IconButton icon={X} size="s" label={t("panels.help.back")} onClick={onBack} />
          )}
        </div>
        <code>{spec.type}</code>
        <small>
          {[categoryOf(spec), t("panels.help.version", { version: spec.version })]
            .filter((part) => part !== "")
            .join(" · ")}
        </small>
      </header>
      <NodeMarks spec={spec} />
      <div className={styles.prose}>
        <p className={styles.lead}>{spec.summary || t("panels.help.noText")}</p>
        <ExamplePicture spec={spec} />
        <Prose blocks={readDocstring(spec.help, spec.summary)} />
      </div>
      <div className={styles.actions}>
        <Button size="s" icon={Plus} onClick={() => insertNode(spec, freeCenter(), null)}>
          {t("panels.help.add")}
        </Button>
        {spec.example !== null && (
          <Button size="s" icon={FileInput} onClick={() => void openExample(spec)}>
            {t("panels.help.openExample")}
          </Button>
        )}
      </div>
      <Ports
        title={t("panels.help.inputs")}
        ports={spec.inputs}
        types={types}
        about={(port) => (
          <>
            {port.help}
            <small>{factsOf(port)}</small>
          </>
        )}
      />
      <Ports
        title={t("panels.help.outputs")}
        ports={spec.outputs}
        types={types}
        about={(port) => port.help || types.portTypes.get(port.type)?.description}
      />
      <Habits spec={spec} />
      <Examples type={spec.type} />
    </article>
  );
}

/** Range, default and whether it is needed, in one line. */
function factsOf(port: InputSpec): string {
  const facts: string[] = [];
  const { minimum, maximum, enum: choices } = port.json_schema ?? {};
  if (Array.isArray(choices)) facts.push(choices.map(String).join(", "));
  else if (minimum !== undefined && maximum !== undefined) {
    // Beyond that a number is no longer told exactly, and is no bound that anybody meets.
    const isBound = Number(maximum) <= Number.MAX_SAFE_INTEGER;
    facts.push(t(isBound ? "panels.help.range" : "panels.help.atLeast", { minimum, maximum }));
  }
  if (port.required) facts.push(t("panels.help.required"));
  else if (port.default !== null && port.default !== "") {
    facts.push(t("panels.help.default", { value: valueText(port.default, 60) }));
  } else facts.push(t("panels.help.optional"));
  return facts.join(" · ");
}

function Habits({ spec }: { readonly spec: NodeSpec }) {
  const habits = [
    spec.output && t("panels.help.habit.output"),
    !spec.deterministic && t("panels.help.habit.random"),
    spec.lane === "gpu" && t("panels.help.habit.gpu"),
    spec.inputs.some((port) => port.lazy) && t("panels.help.habit.lazy"),
  ].filter((habit) => habit !== false);
  if (habits.length === 0) return null;
  return (
    <section>
      <h3>{t("panels.help.habits")}</h3>
      <ul className={styles.habits}>
        {habits.map((habit) => (
          <li key={habit}>{habit}</li>
        ))}
      </ul>
    </section>
  );
}

function Examples({ type }: { readonly type: string }) {
  const templates = useCatalogue((catalogue) => catalogue.templates);
  const [examples, setExamples] = useState<readonly Template[] | null>(null);
  useEffect(() => {
    let isWanted = true;
    setExamples(null);
    void examplesOf(type, templates ?? []).then((found) => isWanted && setExamples(found));
    return () => {
      isWanted = false;
    };
  }, [type, templates]);
  if (examples === null || examples.length === 0) return null;
  return (
    <section>
      <h3>{t("panels.help.examples")}</h3>
      <ul className={styles.examples}>
        {examples.map((example) => (
          <li key={example.name}>
            <button type="button" onClick={() => void openTemplate(example)}>
              <FileInput aria-hidden size={15} />
              <span>
                {example.title}
                <small>{example.description}</small>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

async function openExample(spec: NodeSpec): Promise<void> {
  const opening = await import("@/components/files/opening");
  await opening.openExample(spec);
}

async function openTemplate(template: Template): Promise<void> {
  const workflow = await templateWorkflow(template.name);
  if (workflow !== null) useDocuments.getState().open(workflow, { origin: "template" });
  else notify({ kind: "error", title: t("panels.help.noTemplate"), detail: t("panels.tryAgain") });
}
