/** What is wrong with the workflow and its last run, each with its place and its mend. */
import {
  CircleAlert,
  CircleCheck,
  CircleHelp,
  FileText,
  PackageX,
  TriangleAlert,
} from "lucide-react";
import { useId, useMemo, useState } from "react";
import type { Finding } from "@/api/schema";
import { InstallPack } from "@/components/files/InstallPack";
import { Button, EmptyState, IconButton } from "@/components/ui";
import { useProblems } from "@/hooks/useProblems";
import { t } from "@/i18n";
import { inWords } from "@/i18n/format";
import { type NodeTypes, withLabels } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, useActive } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { useJobs } from "@/store/jobs";
import { placeOf } from "@/store/places";
import { usePlan } from "@/store/plan";
import { jobOfFailure, type Problem } from "@/store/problems";
import { useUi } from "@/store/ui";
import { GridCell } from "./lib/grid";
import panel from "./lib/Panel.module.css";
import { RowList } from "./lib/RowList";
import styles from "./ProblemsPanel.module.css";
import { MendButtons } from "./problems/MendButtons";

const ROW = 58;
const ICONS = { check: CircleAlert, run: CircleAlert, pack: PackageX } as const;

export default function ProblemsPanel() {
  const id = useId();
  const [active, setActive] = useState(0);
  const types = useCatalogue((catalogue) => catalogue.types);
  const workflow = useActive((_document, found) => found);
  const missing = usePlan((plan) => plan.missing);
  const state = usePlan((plan) => plan.state);
  const problems = useProblems();
  const openDialog = useUi((ui) => ui.openDialog);
  const isMissing = missing.models.length > 0 || missing.packs.length > 0;
  if (problems.length === 0) {
    return (
      <EmptyState icon={CircleCheck} title={t("panels.problems.none")}>
        {state === "failed" && t("panels.problems.notChecked")}
      </EmptyState>
    );
  }
  const show = ({ finding }: Problem) => {
    const place = finding.node ? placeOf(workflow, types, finding.node) : null;
    if (place) focusNode({ ...place, port: finding.port ?? null });
  };
  return (
    <div className={panel.panel}>
      <div className={panel.bar}>
        <span className={`${panel.grow} ${panel.count}`} role="status">
          {t("panels.problems.count", { count: problems.length })}
        </span>
        {isMissing && (
          <Button size="s" icon={PackageX} onClick={() => openDialog("missing")}>
            {t("panels.problems.missing")}
          </Button>
        )}
      </div>
      <RowList
        id={`${id}-problems`}
        label={t("panels.problems.title")}
        role="grid"
        items={problems}
        height={ROW}
        keyOf={(problem) => problem.key}
        active={Math.min(active, problems.length - 1)}
        onActive={setActive}
        onOpen={show}
        opensByClick
      >
        {(problem, row) => <ProblemRow problem={problem} active={row.active} types={types} />}
      </RowList>
    </div>
  );
}

interface RowProps {
  readonly problem: Problem;
  readonly active: boolean;
  readonly types: NodeTypes | null;
}

function ProblemRow({ problem, active, types }: RowProps) {
  const { finding, origin, isWarning } = problem;
  const Icon = isWarning && origin !== "pack" ? TriangleAlert : ICONS[origin];
  const packs = usePlan((plan) => plan.missing.packs);
  const lacking = useMemo(() => lackingIn(finding, packs), [finding, packs]);
  const place = [finding.node, finding.port].filter(Boolean).join(".");
  return (
    <GridCell
      className={styles.row}
      data-active={active || undefined}
      data-warning={isWarning || undefined}
    >
      <Icon
        aria-label={t(isWarning ? "panels.problems.warning" : "panels.problems.error")}
        size={16}
      />
      <div className={styles.text}>
        <p className={styles.message}>
          {place !== "" && <code>{place}</code>}
          <span>{inWords(finding.message)}</span>
          {origin === "run" && <small>{t("panels.problems.lastRun")}</small>}
        </p>
        <p className={styles.detail}>{detailOf(finding, types)}</p>
      </div>
      <div className={styles.mends}>
        {origin === "run" && (
          <Button
            size="s"
            variant="ghost"
            icon={FileText}
            tabIndex={active ? 0 : -1}
            onClick={(event) => {
              event.stopPropagation();
              tellFailure(finding);
            }}
          >
            {t("panels.failure.details")}
          </Button>
        )}
        <IconButton
          icon={CircleHelp}
          size="s"
          label={t("problemhelp.learnMore")}
          tabIndex={active ? 0 : -1}
          onClick={(event) => {
            event.stopPropagation();
            const isOfRun = origin === "run";
            useUi.getState().openDialog("problemHelp", { finding, isOfRun });
          }}
        />
        <InstallPack {...lacking} tabIndex={active ? 0 : -1} />
        <MendButtons finding={finding} tabIndex={active ? 0 : -1} />
      </div>
    </GridCell>
  );
}

/** What a problem says that isn't there: a pack that the workflow requires, or a node's type. */
function lackingIn({ code, message, node_type: type }: Finding, packs: readonly string[]) {
  if (code === "missing-pack")
    return { names: packs.filter((pack) => message.includes(`\`${pack}\``)) };
  return { types: code === "unknown-node-type" && type ? [type] : [] };
}

/** Show what the run told of it, besides the message. */
function tellFailure(finding: Finding): void {
  const job = jobOfFailure(useJobs.getState(), activeDocument().id, finding);
  if (job !== null) useUi.getState().openDialog("failure", { job: job.id, finding });
}

function detailOf({ given, expected, hint }: Finding, types: NodeTypes | null): string {
  const parts = [
    given && expected && t("panels.problems.givenExpected", { given, expected }),
    given && !expected && t("panels.problems.given", { given }),
    !given && expected && t("panels.problems.expected", { expected }),
    hint && withLabels(hint, types),
  ];
  const said = parts.filter((part) => typeof part === "string" && part !== "");
  return inWords(said.join(" · "));
}
