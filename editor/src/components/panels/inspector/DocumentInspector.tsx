/** The workflow as a whole: title, description, what is in it, what a run will cost. */
import { SlidersHorizontal } from "lucide-react";
import { useId } from "react";
import { Button, Field, TextArea, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { atLeast, duration } from "@/i18n/format";
import { clearPrecision, setMeta } from "@/model/edits";
import { edgesOf } from "@/model/graph";
import { nodesOf } from "@/model/scope";
import { cpuPrecisionOf } from "@/model/workflow";
import { useActive } from "@/store/documents";
import { usePlan } from "@/store/plan";
import { useUi } from "@/store/ui";
import { edit } from "./change";
import styles from "./Inspector.module.css";
import { Section } from "./Section";

export function DocumentInspector() {
  const id = useId();
  const { title, description } = useActive((_document, workflow) => workflow);
  return (
    <div className={styles.panel}>
      <h2 className={styles.kind}>{t("panels.inspector.workflow")}</h2>
      <Field label={t("panels.inspector.title")} id={`${id}-title`}>
        <TextField
          id={`${id}-title`}
          value={title}
          placeholder={t("panels.inspector.untitled")}
          onChange={(text) =>
            edit("panels.edit.meta", (w) => setMeta(w, { title: text }), { merge: "meta:title" })
          }
        />
      </Field>
      <Field label={t("panels.inspector.description")} id={`${id}-text`}>
        <TextArea
          id={`${id}-text`}
          value={description}
          rows={2}
          autoGrow
          onChange={(text) =>
            edit("panels.edit.meta", (w) => setMeta(w, { description: text }), {
              merge: "meta:text",
            })
          }
        />
      </Field>
      <Contents />
      <NextRun />
      <p className={styles.faint}>{t("panels.inspector.selectHint")}</p>
    </div>
  );
}

function Contents() {
  const showPanel = useUi((ui) => ui.showPanel);
  const counts = useActive((_document, workflow, scope) => ({
    nodes: nodesOf(workflow, scope).size,
    links: edgesOf(nodesOf(workflow, scope)).length,
    blocks: workflow.subgraphs.size,
    parameters: workflow.parameters.size,
  }));
  const requires = useActive((_document, workflow) => workflow.requires);
  const precision = useActive((_document, workflow) => cpuPrecisionOf(workflow));
  return (
    <Section name="contents" title={t("panels.inspector.contents")}>
      <dl className={styles.facts}>
        {Object.entries(counts).map(([name, count]) => (
          <div key={name}>
            <dt>{t(`panels.inspector.count.${name}`)}</dt>
            <dd>{count}</dd>
          </div>
        ))}
        {[...requires].map(([pack, version]) => (
          <div key={pack}>
            <dt>{t("panels.inspector.requires", { pack })}</dt>
            <dd>{version}</dd>
          </div>
        ))}
        {precision !== "" && (
          <div>
            <dt>{t("panels.inspector.cpuPrecision")}</dt>
            <dd>{precision}</dd>
          </div>
        )}
      </dl>
      {precision !== "" && (
        <Button size="s" onClick={() => edit("panels.edit.precision", clearPrecision)}>
          {t("panels.inspector.clearPrecision")}
        </Button>
      )}
      <Button size="s" icon={SlidersHorizontal} onClick={() => showPanel("right", "parameters")}>
        {t("panels.inspector.editParameters")}
      </Button>
    </Section>
  );
}

function NextRun() {
  const nodes = usePlan((plan) => plan.nodes);
  const seconds = usePlan((plan) => plan.seconds);
  const unknown = usePlan((plan) => plan.unknownSeconds);
  const entries = [...nodes.values()];
  if (entries.length === 0) return null;
  const run = entries.filter((entry) => entry.status === "run").length;
  const cached = entries.filter((entry) => entry.status === "hit").length;
  return (
    <Section name="next" title={t("panels.inspector.nextRun")}>
      <dl className={styles.facts}>
        <div>
          <dt>{t("panels.inspector.willRun")}</dt>
          <dd>{run}</dd>
        </div>
        <div>
          <dt>{t("panels.inspector.fromCache")}</dt>
          <dd>{cached}</dd>
        </div>
        {seconds !== null && (
          <div>
            <dt>{t("panels.inspector.expected")}</dt>
            <dd>{unknown === 0 ? duration(seconds) : atLeast(seconds)}</dd>
          </div>
        )}
      </dl>
    </Section>
  );
}
