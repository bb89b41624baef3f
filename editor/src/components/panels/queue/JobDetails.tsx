/** One job in full: its nodes, its files, and why it failed. */
import { CircleAlert, Crosshair, FileText } from "lucide-react";
import { useEffect } from "react";
import { Badge, Button, Progress } from "@/components/ui";
import { t } from "@/i18n";
import { duration, fullMoment, sentences } from "@/i18n/format";
import { useCatalogue } from "@/store/catalogue";
import { currentWorkflow, documentById } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { chooseJob, isEnded, type JobView, type NodeRun } from "@/store/jobs";
import { loadJob } from "@/store/jobsFollowing";
import { notify } from "@/store/notices";
import { placeOf } from "@/store/places";
import { useUi } from "@/store/ui";
import { Thumbnail } from "../gallery/Thumbnail";
import styles from "./JobDetails.module.css";
import { jobTone, stateText } from "./states";

const ORDER = ["running", "failed", "waiting", "done", "cached", "skipped"];

export function JobDetails({ job }: { readonly job: JobView }) {
  const needsMore = isEnded(job) && !job.isWhole;
  useEffect(() => {
    // It may be offline; what is known is shown meanwhile.
    if (needsMore) loadJob(job.id).catch(() => undefined);
  }, [job.id, needsMore]);
  const nodes = [...job.nodes].sort(
    ([, a], [, b]) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state),
  );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: so that it can be scrolled by keyboard
    <section className={styles.details} tabIndex={0} aria-label={t("panels.queue.details")}>
      <header className={styles.head}>
        <h3>{job.name || t("panels.queue.unnamed")}</h3>
        <Badge tone={jobTone(job)}>{stateText({ ...job, error: null })}</Badge>
      </header>
      <p className={styles.times}>
        {t("panels.queue.created", { time: fullMoment(job.created) })}
        {job.attempt > 1 && ` · ${t("panels.queue.attempts", { count: job.attempt })}`}
        {job.deaths > 0 && ` · ${t("panels.queue.deaths", { count: job.deaths })}`}
      </p>
      {job.outputs.length > 0 && (
        <div className={styles.outputs}>
          {job.outputs.map((artifact) => (
            <button
              key={`${artifact.digest}${artifact.name}`}
              type="button"
              aria-label={t("panels.gallery.open", { name: artifact.name })}
              onClick={() => useUi.getState().openDialog("viewer", { artifact, list: job.outputs })}
            >
              <Thumbnail artifact={artifact} size={128} />
            </button>
          ))}
        </div>
      )}
      {job.problems.map((problem) => (
        <button
          key={`${problem.code}${problem.node}${problem.port}${problem.message}`}
          type="button"
          className={styles.problem}
          onClick={() => problem.node && show(job, problem.node, problem.port ?? null)}
        >
          <CircleAlert aria-hidden size={14} />
          <span>
            {problem.node && <strong>{problem.node}: </strong>}
            {sentences(problem.message, problem.hint)}
          </span>
        </button>
      ))}
      {job.problems.some(({ node }) => node) && (
        <Button
          size="s"
          icon={FileText}
          onClick={() => useUi.getState().openDialog("failure", { job: job.id })}
        >
          {t("panels.failure.details")}
        </Button>
      )}
      {nodes.length > 0 && (
        <ul className={styles.nodes}>
          {nodes.map(([name, run]) => (
            <li key={name}>
              <button type="button" onClick={() => show(job, name, null)}>
                <span className={styles.dot} data-state={run.state} />
                <span className={styles.name}>{name}</span>
                <NodeState name={name} run={run} />
              </button>
            </li>
          ))}
        </ul>
      )}
      {job.document !== null && documentById(job.document) !== null && (
        <Button
          size="s"
          icon={Crosshair}
          onClick={() => job.document !== null && chooseJob(job.document, job.id)}
        >
          {t("panels.queue.showInGraph")}
        </Button>
      )}
    </section>
  );
}

function NodeState({ name, run }: { readonly name: string; readonly run: NodeRun }) {
  if (run.state === "running" && run.total) {
    return (
      <>
        <Progress
          value={(run.step ?? 0) / run.total}
          label={t("panels.queue.progressOf", { name })}
          className={styles.bar}
        />
        <small>
          {run.step ?? 0}/{run.total}
          {run.secondsLeft !== null && ` · ${duration(run.secondsLeft)}`}
        </small>
      </>
    );
  }
  return (
    <small>
      {t(`panels.state.${run.state}`)}
      {run.state === "done" && run.seconds !== null && ` · ${duration(run.seconds)}`}
    </small>
  );
}

/** Show a node of a job in its document, if that is open and has it still. */
function show(job: JobView, told: string, port: string | null): void {
  const document = job.document === null ? null : documentById(job.document);
  const place = document && placeOf(currentWorkflow(document), useCatalogue.getState().types, told);
  if (document && place) focusNode({ ...place, port, document: document.id });
  else notify({ kind: "info", title: t("panels.queue.notOpen") });
}
