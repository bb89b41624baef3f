import { Play, Square } from "lucide-react";
import type { Finding } from "@/api/schema";
import { progressText } from "@/components/panels/queue/states";
import { Button, Progress } from "@/components/ui";
import { unreadField } from "@/components/widgets/useDraft";

import { t } from "@/i18n";
import { duration, problemText } from "@/i18n/format";
import { mayRun, useConnection } from "@/store/connection";
import { useActive } from "@/store/documents";
import { currentJob, type JobView, jobsOfDocument, useJobs } from "@/store/jobs";
import { isQuiet, usePlan } from "@/store/plan";
import { cancel, run, showNode, useRunning } from "@/store/running";
import { useUi } from "@/store/ui";
import styles from "./AppMode.module.css";

/** Runs the document and tells how far it is, how long it takes, and what keeps it from running. */
export function RunBar({ document }: { readonly document: string }) {
  const job = useJobs((state) => currentJob(jobsOfDocument(state, document)));
  const last = useJobs((state) => jobsOfDocument(state, document)[0] ?? null);
  const sending = useRunning((state) => (state.submitting.get(document) ?? 0) > 0);
  const allowed = useConnection(mayRun);
  const expected = useExpected();
  return (
    <div className={styles.runBar}>
      {job === null && <Problems document={document} last={last} />}
      {job !== null && (
        <>
          <Progress
            value={job.state === "running" ? job.progress : null}
            label={t("appmode.progress")}
          />
          <p className={styles.note} aria-live="polite">
            {progressText(job)}
          </p>
        </>
      )}
      <div className={styles.buttons}>
        {job !== null && (
          <Button icon={Square} disabled={job.wanted === "cancel"} onClick={() => cancel(job.id)}>
            {t("appmode.cancel")}
          </Button>
        )}
        <Button
          variant="primary"
          icon={Play}
          busy={sending}
          disabled={!allowed}
          onClick={() => start(document)}
        >
          {sending ? t("appmode.sending") : t("appmode.run")}
        </Button>
      </div>
      {job === null && expected !== null && <p className={styles.note}>{expected}</p>}
    </div>
  );
}

/** What is typed in a field counts, not the value that it had before. */
function start(document: string): void {
  const unread = unreadField(`app/${document}/`);
  if (unread === null) void run({ document });
  else unread.focus();
}

/** What a run would take, from the plan. */
function useExpected(): string | null {
  return usePlan(({ state, counts, seconds }) => {
    if ((state !== "ready" && state !== "partial") || counts.run + counts.hit + counts.lazy === 0)
      return null;
    if (counts.run + counts.lazy === 0) return t("appmode.nothing");
    return seconds === null || seconds <= 0
      ? null
      : t("appmode.expected", { time: duration(seconds) });
  });
}

function Problems({ document, last }: { document: string; last: JobView | null }) {
  const planned = usePlan((state) =>
    state.document === document && !isQuiet(state) ? state.problems : NONE,
  );
  const refused = useRunning((state) => state.refused.get(document) ?? NONE);
  const before = planned.length > 0 ? planned : refused;
  const failed = last?.state === "failed" ? last.problems : NONE;
  const isAtField = useShownAtFields();
  const shown = before.length > 0 ? before : failed;
  const problems = shown.filter((problem) => !isAtField(problem));
  if (shown.length === 0) {
    return last?.state === "cancelled" ? (
      <p className={styles.note}>{t("appmode.cancelled")}</p>
    ) : null;
  }
  return (
    <div role="alert" className={styles.problems}>
      <strong>{t(before.length > 0 ? "appmode.problems" : "appmode.failed")}</strong>
      {problems.length < shown.length && <p>{t("appmode.atFields")}</p>}
      {problems.slice(0, MOST_PROBLEMS).map((problem) => (
        <Problem key={keyOf(problem)} document={document} problem={problem} />
      ))}
    </div>
  );
}

/** Whether a problem of the plan is told at a field of the form already. */
function useShownAtFields(): (problem: Finding) => boolean {
  const parameters = useActive((_, workflow) => workflow.parameters);
  const planned = usePlan((state) => state.problems);
  return ({ node, port }) =>
    [...parameters.values()].some(({ input }) => input === `${node}.${port}`) &&
    planned.some((other) => other.node === node && other.port === port);
}

const NONE: readonly Finding[] = [];
const MOST_PROBLEMS = 3;

function keyOf({ node, port, code, message }: Finding): string {
  return [node, port, code, message].join("/");
}

function Problem({ document, problem }: { document: string; problem: Finding }) {
  const { node, port } = problem;
  return (
    <p>
      {problemText(problem)}{" "}
      {node && (
        <button
          type="button"
          className={styles.textButton}
          onClick={() => {
            useUi.getState().setView("graph");
            showNode(document, node, port ?? null);
          }}
        >
          {t("appmode.showProblem")}
        </button>
      )}
    </p>
  );
}
