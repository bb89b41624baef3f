/** The processes that run jobs: where each is, what it does, how much, and what it holds. */
import { ChevronDown, Cpu } from "lucide-react";
import { useShallow } from "zustand/react/shallow";
import type { WorkerEntry } from "@/api/schema";
import { Button, Progress, tip } from "@/components/ui";
import { t } from "@/i18n";
import { type JobView, useJobs } from "@/store/jobs";
import styles from "./Workers.module.css";
import {
  type Crew,
  crewOf,
  doingText,
  doneBy,
  memoryText,
  paceText,
  placeText,
  workerTone,
  workText,
} from "./workers";

interface ButtonProps {
  readonly workers: readonly WorkerEntry[];
  readonly open: boolean;
  /** Id of the list that it opens. */
  readonly controls: string;
  readonly onToggle: () => void;
}

/** How many there are and how many have work; opens and closes the list of them. */
export function WorkersButton({ workers, open, controls, onToggle }: ButtonProps) {
  const crew = crewOf(workers);
  if (crew.count === 0) return <span className={styles.none}>{crewText(crew)}</span>;
  return (
    <Button
      variant="ghost"
      size="s"
      icon={Cpu}
      className={styles.button}
      aria-expanded={open}
      aria-controls={open ? controls : undefined}
      onClick={onToggle}
      {...tip(t("panels.workers.hint"))}
    >
      {crewText(crew)}
      {crew.dead > 0 && (
        <span className={styles.dead}>{t("panels.workers.dead", { count: crew.dead })}</span>
      )}
      <ChevronDown aria-hidden size={14} className={styles.fold} />
    </Button>
  );
}

function crewText({ count, busy, pace }: Crew): string {
  const all = t("panels.workers.count", { count });
  const said = count > 1 ? `${all}, ${t("panels.workers.busy", { count: busy })}` : all;
  return pace === null || pace < 0.5 ? said : `${said} · ${paceText(pace)}`;
}

interface ListProps {
  readonly id: string;
  readonly workers: readonly WorkerEntry[];
  readonly onJob: (id: string) => void;
}

export function WorkerList({ id, workers, onJob }: ListProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: so that it can be scrolled by keyboard
    <section id={id} className={styles.list} tabIndex={0} aria-label={t("panels.workers.title")}>
      <ul>
        {workers.map((worker) => (
          <WorkerRow key={worker.name} worker={worker} onJob={onJob} />
        ))}
      </ul>
    </section>
  );
}

interface RowProps {
  readonly worker: WorkerEntry;
  readonly onJob: (id: string) => void;
}

function WorkerRow({ worker, onJob }: RowProps) {
  return (
    <li className={styles.worker}>
      <span className={styles.mark} data-tone={workerTone(worker)} />
      <div className={styles.who}>
        <strong>{worker.name}</strong>
        <small>{placeText(worker)}</small>
      </div>
      <Doing worker={worker} onJob={onJob} />
      <small className={styles.work}>{workText(worker)}</small>
      <small className={styles.memory}>{memoryText(worker)}</small>
      {worker.weights.length > 0 && (
        <ul className={styles.models} aria-label={t("panels.workers.models")}>
          {worker.weights.map((name) => (
            <li key={name}>{name}</li>
          ))}
        </ul>
      )}
      {worker.fault !== null && (
        <p className={styles.fault}>{t("panels.workers.died", { fault: worker.fault })}</p>
      )}
    </li>
  );
}

/** All that it runs at once, or the job that it helps with. */
function Doing({ worker, onJob }: RowProps) {
  const shown = useJobs(
    useShallow(({ jobs }) => doneBy(worker).flatMap((id) => jobs.get(id) ?? [])),
  );
  if (shown.length === 0) return <span className={styles.doing}>{doingText(worker)}</span>;
  return (
    <div className={styles.doing}>
      {shown.map((job) => (
        <WorkersJob key={job.id} job={job} worker={worker} onJob={onJob} />
      ))}
    </div>
  );
}

function WorkersJob({ job, worker, onJob }: RowProps & { readonly job: JobView }) {
  const name = job.name || t("panels.queue.unnamed");
  return (
    <>
      <button type="button" className={styles.job} onClick={() => onJob(job.id)}>
        {worker.job === null ? t("panels.workers.helps", { name }) : name}
      </button>
      <Progress
        value={job.progress || null}
        label={t("panels.workers.progress", { name, worker: worker.name })}
      />
    </>
  );
}
