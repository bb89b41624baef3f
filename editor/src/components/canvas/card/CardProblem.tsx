/** What is wrong with a node, in the card itself, with what mends it and the way to where more is told. */
import { CircleAlert, CircleDashed } from "lucide-react";
import type { Finding } from "@/api/schema";
import { MendButtons } from "@/components/panels/problems/MendButtons";
import { tip } from "@/components/ui";
import { t } from "@/i18n";
import { inWords, problemText, problemWords } from "@/i18n/format";
import { placeholderType } from "@/model/comfyui";
import { withLabels } from "@/model/spec";
import { useQuietly } from "@/store/asked";
import { useCatalogue } from "@/store/catalogue";
import type { NodeRun } from "@/store/nodeRuns";
import { useUi } from "@/store/ui";
import styles from "./CardProblem.module.css";
import type { CardModel } from "./card";
import type { CardState } from "./live";

interface ProblemProps {
  readonly card: CardModel;
  readonly run: NodeRun | null;
  readonly state: CardState;
  readonly findings: readonly Finding[];
  /** Of the nodes in the block that it is, or runs. */
  readonly inner: readonly Finding[];
  /** What the run's names of these nodes begin with. */
  readonly within: string;
}

export function CardProblem({ card, run, state, findings: all, inner, within }: ProblemProps) {
  const quietly = useQuietly();
  const isQuiet = (finding: Finding) =>
    quietly(inner.includes(finding) ? { ...finding, node: `${within}${finding.node}` } : finding);
  // A field tells its own, once it is marked.
  const isField = ({ port }: Finding) => card.widgets.some((input) => input.name === port);
  const own = all.filter((finding) => isQuiet(finding) || !isField(finding));
  const findings = [...own, ...inner].sort((a, b) => Number(isQuiet(a)) - Number(isQuiet(b)));
  const failure = (state === "failed" ? run?.problem : null) ?? null;
  const problem = failure ?? findings[0] ?? null;
  const isUnfinished = card.mayCome || (failure === null && problem !== null && isQuiet(problem));
  const types = useCatalogue((catalogue) => catalogue.types);
  const words = problem && (inner.includes(problem) ? innerWords(problem) : problemWords(problem));
  const open = isUnfinished ? openWords(findings, inner) : null;
  const message = placeholderWords(card.entry.type) ?? open ?? words ?? unknownWords(card);
  if (message === "") return null;
  const hint = open === null ? inWords(withLabels(problem?.hint ?? "", types)) : "";
  const others = open === null ? findings.length - 1 : 0;
  const Icon = isUnfinished ? CircleDashed : CircleAlert;
  return (
    <div className={styles.problem} data-unfinished={isUnfinished || undefined}>
      <button
        type="button"
        className={`${styles.told} nodrag`}
        onClick={() => useUi.getState().showPanel("bottom", "problems")}
        tabIndex={-1}
        {...(open === null ? {} : tip(findings.map(problemText).join("\n")))}
      >
        <Icon size={14} aria-hidden className={styles.icon} />
        <span className={styles.words}>
          <span className={styles.message}>{message}</span>
          {hint !== "" && <span className={styles.hint}>{hint}</span>}
          {others > 0 && (
            <span className={styles.hint}>{t("canvas.card.moreProblems", { count: others })}</span>
          )}
        </span>
      </button>
      {problem !== null && problem !== failure && !isUnfinished && !inner.includes(problem) && (
        <div className={`${styles.mends} nodrag`}>
          <MendButtons finding={problem} tabIndex={-1} />
        </div>
      )}
    </div>
  );
}

/** Of a card that somebody still works on: how much it lacks; null where that isn't all. */
function openWords(findings: readonly Finding[], inner: readonly Finding[]): string | null {
  const isOpen = (finding: Finding) => finding.code === "missing-input" && !inner.includes(finding);
  if (findings.length === 0 || !findings.every(isOpen)) return null;
  return t("canvas.card.open", { count: new Set(findings.map(({ port }) => port)).size });
}

/** Of a node of ComfyUI: that it couldn't be translated, rather than that its type isn't known. */
function placeholderWords(nodeType: string | null | undefined): string | null {
  const type = placeholderType(nodeType ?? "");
  return type === null ? null : t("canvas.card.placeholder", { type });
}

/** Of a node whose type isn't there, or not yet. */
function unknownWords({ spec, pending, mayCome, entry: { type } }: CardModel): string {
  if (spec !== null || pending) return "";
  return t(mayCome ? "canvas.card.mayCome" : "canvas.card.unknown", { type });
}

function innerWords(problem: Finding): string {
  const message = placeholderWords(problem.node_type) ?? problemWords(problem);
  return t("canvas.card.inside", { node: problem.node, message });
}
