/** What is wrong with a node, in the card itself, and the way to where more is told. */
import { CircleAlert, CircleDashed } from "lucide-react";
import type { Finding } from "@/api/schema";
import { t } from "@/i18n";
import { inWords, problemWords, sentences } from "@/i18n/format";
import { placeholderType } from "@/model/comfyui";
import { withLabels } from "@/model/spec";
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
  /** Whether what is wrong keeps nothing else from running: the node isn't finished yet. */
  readonly quiet: boolean;
}

export function CardProblem({ card, run, state, findings: all, inner, quiet }: ProblemProps) {
  // A field tells its own.
  const own = all.filter(({ port }) => !card.widgets.some((input) => input.name === port));
  const findings = [...own, ...inner];
  const problem = (state === "failed" ? run?.problem : null) ?? findings[0] ?? null;
  const isUnfinished = card.mayCome || (quiet && problem !== null && problem === findings[0]);
  const words = problem && (problem === inner[0] ? innerWords(problem) : problemWords(problem));
  const message =
    placeholderWords(card.entry.type) ??
    (words && sentences(isUnfinished ? t("canvas.card.unfinished") : "", words)) ??
    unknownWords(card);
  const types = useCatalogue((catalogue) => catalogue.types);
  if (message === "") return null;
  const hint = inWords(withLabels(problem?.hint ?? "", types));
  const Icon = isUnfinished ? CircleDashed : CircleAlert;
  const open = () => useUi.getState().showPanel("bottom", "problems");
  return (
    <button
      type="button"
      className={`${styles.problem} nodrag`}
      data-unfinished={isUnfinished || undefined}
      onClick={open}
      tabIndex={-1}
    >
      <Icon size={14} aria-hidden className={styles.icon} />
      <span className={styles.words}>
        <span className={styles.message}>{message}</span>
        {hint !== "" && <span className={styles.hint}>{hint}</span>}
        {findings.length > 1 && (
          <span className={styles.hint}>
            {t("canvas.card.moreProblems", { count: findings.length - 1 })}
          </span>
        )}
      </span>
    </button>
  );
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
