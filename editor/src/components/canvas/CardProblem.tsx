/** What is wrong with a node, in the card itself, and the way to where more is told. */
import { CircleAlert } from "lucide-react";
import type { Finding } from "@/api/schema";
import { t } from "@/i18n";
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
}

export function CardProblem({ card, run, state, findings: all }: ProblemProps) {
  // A field tells its own.
  const findings = all.filter(({ port }) => !card.widgets.some((input) => input.name === port));
  const problem = (state === "failed" ? run?.problem : null) ?? findings[0] ?? null;
  const message =
    problem?.message ??
    (card.spec === null && !card.pending
      ? t("canvas.card.unknown", { type: card.entry.type })
      : "");
  if (message === "") return null;
  const hint = problem?.hint ?? "";
  const open = () => useUi.getState().showPanel("bottom", "problems");
  return (
    <button type="button" className={`${styles.problem} nodrag`} onClick={open} tabIndex={-1}>
      <CircleAlert size={14} aria-hidden className={styles.icon} />
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
