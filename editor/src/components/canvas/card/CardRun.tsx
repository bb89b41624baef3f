/** How far a node is: a bar under the card's head, with steps and the time left while it samples. */
import { t } from "@/i18n";
import { duration } from "@/i18n/format";
import type { NodeRun } from "@/store/nodeRuns";
import styles from "./CardRun.module.css";
import type { CardState } from "./live";

interface RunProps {
  readonly run: NodeRun | null;
  readonly state: CardState;
  /** Seen from so far that words can't be read. */
  readonly far: boolean;
}

export function CardRun({ run, state, far }: RunProps) {
  if (state !== "running" || run === null) return null;
  const part = run.step !== null && run.total ? run.step / run.total : null;
  const words = wordsOf(run);
  return (
    <div
      className={styles.run}
      role="progressbar"
      aria-label={t("canvas.run.progress")}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={part === null ? undefined : Math.round(part * 100)}
      aria-valuetext={words || undefined}
    >
      <div className={styles.track}>
        <div
          className={part === null ? styles.unknown : styles.bar}
          style={part === null ? undefined : { transform: `scaleX(${part})` }}
        />
      </div>
      {words !== "" && !far && <div className={styles.words}>{words}</div>}
    </div>
  );
}

function wordsOf({ step, total, secondsLeft, calls }: NodeRun): string {
  const parts: string[] = [];
  if (calls?.total) parts.push(t("canvas.run.calls", { done: calls.done, total: calls.total }));
  if (step !== null && total) parts.push(t("canvas.run.steps", { step, total }));
  if (secondsLeft !== null && secondsLeft > 0.5)
    parts.push(t("canvas.run.left", { time: duration(secondsLeft) }));
  return parts.join(" · ");
}
