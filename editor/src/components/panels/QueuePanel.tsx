/** The jobs: what runs and how far it is, what waits, and what became of the others. */
import {
  ArrowDown,
  ArrowDownToLine,
  ArrowUp,
  ArrowUpToLine,
  EllipsisVertical,
  FileInput,
  GitCompare,
  Hand,
  History,
  Images,
  ListX,
  Pause,
  Play,
  RotateCcw,
  Square,
  Trash2,
} from "lucide-react";
import { type KeyboardEvent, useId, useMemo, useState } from "react";
import {
  Badge,
  EmptyState,
  IconButton,
  MenuButton,
  type MenuEntry,
  Progress,
  SearchField,
  Select,
  Toggle,
} from "@/components/ui";
import { t } from "@/i18n";
import { dayLabel, duration, moment } from "@/i18n/format";
import { mayRun, useConnection } from "@/store/connection";
import { useDocuments } from "@/store/documents";
import { isEnded, type JobState, type JobView, useJobs } from "@/store/jobs";
import { readStored, writeStored } from "@/store/persisted";
import { useUi } from "@/store/ui";
import { GridCell } from "./lib/grid";
import panel from "./lib/Panel.module.css";
import { RowList } from "./lib/RowList";
import styles from "./QueuePanel.module.css";
import {
  cancel,
  cancelWaiting,
  clearHistory,
  copyId,
  move,
  openJobWorkflow,
  remove,
  retry,
  setHeld,
  setPaused,
} from "./queue/actions";
import { JobDetails } from "./queue/JobDetails";
import { endOf, type QueueRow, queueRows } from "./queue/rows";
import { jobTone, stateText } from "./queue/states";
import { useJobSearch } from "./queue/useJobSearch";
import { useWorkers } from "./queue/useWorkers";
import { WorkerList, WorkersButton } from "./queue/Workers";

const HEADING = 26;
const JOB = 40;
/** Whether the workers are shown, in the browser. */
const WORKERS = "nodegraph.workers";
const STATES = ["all", "queued", "running", "finished", "failed", "cancelled"] as const;

export default function QueuePanel() {
  const id = useId();
  const [text, setText] = useState("");
  const [state, setState] = useState<JobState | "all">("all");
  const [onlyThis, setOnlyThis] = useState(false);
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [chosen, setChosen] = useState<string | null>(null);
  const [showsWorkers, setShowsWorkers] = useState(() => readStored(WORKERS) === true);
  const workers = useWorkers(showsWorkers);
  const document = useDocuments((documents) => documents.active);
  const isReady = useJobs((jobs) => jobs.isReady);
  const search = useJobSearch({ text, state, document: onlyThis ? document : null });
  const rows = useMemo(() => queueRows(search.jobs, closed), [search.jobs, closed]);
  const at = activeRow(rows, chosen);
  const current = rows[at];
  const job = current?.kind === "job" ? current.job : null;
  const waiting = search.jobs.filter((item) => item.state === "queued");
  const { more, hasMore } = search;
  const toggle = (part: string) => {
    const next = new Set(closed);
    if (!next.delete(part)) next.add(part);
    setClosed(next);
  };
  const toggleWorkers = () => {
    setShowsWorkers(!showsWorkers);
    writeStored(WORKERS, !showsWorkers);
  };
  /** Choose a job, and take away whatever hides it. */
  const goTo = (found: string) => {
    setText("");
    setState("all");
    setOnlyThis(false);
    setClosed(new Set([...closed].filter((part) => part !== "running")));
    setChosen(found);
  };
  const onKey = (event: KeyboardEvent, row: QueueRow) =>
    row.kind === "heading"
      ? foldByKey(event, row, () => toggle(row.id))
      : actByKey(event, row.job, waiting);
  return (
    <div className={panel.panel}>
      <div className={panel.bar}>
        <QueueState />
        {workers && (
          <WorkersButton
            workers={workers}
            open={showsWorkers}
            controls={`${id}-workers`}
            onToggle={toggleWorkers}
          />
        )}
        <div className={panel.grow}>
          <SearchField value={text} onChange={setText} label={t("panels.queue.search")} />
        </div>
        <Select
          className={styles.state}
          label={t("panels.queue.state")}
          value={state}
          onChange={(value) => setState(value as JobState | "all")}
          options={STATES.map((value) => ({ value, label: t(`panels.job.${value}`) }))}
        />
        <span className={styles.only}>
          <Toggle checked={onlyThis} onChange={setOnlyThis} label={t("panels.queue.onlyThis")} />
          {t("panels.queue.onlyThis")}
        </span>
        <MenuButton
          icon={EllipsisVertical}
          size="s"
          align="end"
          label={t("panels.queue.more")}
          items={() => [
            {
              label: t("panels.queue.clear"),
              icon: ListX,
              disabled: waiting.length === 0,
              run: () => void cancelWaiting(waiting.length),
            },
            {
              label: t("panels.queue.clearHistory"),
              icon: Trash2,
              danger: true,
              run: () => void clearHistory(),
            },
          ]}
        />
      </div>
      {workers && showsWorkers && (
        <WorkerList id={`${id}-workers`} workers={workers} onJob={goTo} />
      )}
      {rows.length === 0 && isReady && !search.isLoading ? (
        <EmptyState icon={History} title={t("panels.queue.empty")}>
          {t(text === "" ? "panels.queue.emptyHint" : "panels.queue.nothing")}
        </EmptyState>
      ) : (
        <div className={styles.split}>
          <RowList
            id={`${id}-jobs`}
            label={t("panels.queue.title")}
            role="treegrid"
            items={rows}
            height={(index) => (rows[index]?.kind === "heading" ? HEADING : JOB)}
            keyOf={(row) => row.id}
            active={at}
            onActive={(index) => setChosen(rows[index]?.id ?? null)}
            onOpen={(row) => (row.kind === "heading" ? toggle(row.id) : showResults(row.job))}
            onKey={onKey}
            onEnd={hasMore ? more : undefined}
            aria={(row) =>
              row.kind === "heading"
                ? { "aria-level": 1, "aria-expanded": row.open }
                : { "aria-level": 2 }
            }
          >
            {(row, rowState) =>
              row.kind === "heading" ? (
                <Heading row={row} onToggle={() => toggle(row.id)} />
              ) : (
                <JobRow job={row.job} active={rowState.active} waiting={waiting} />
              )
            }
          </RowList>
          {job && <JobDetails key={job.id} job={job} />}
        </div>
      )}
    </div>
  );
}

function QueueState() {
  const queue = useJobs((jobs) => jobs.queue);
  const isAllowed = useConnection(mayRun);
  const paused = queue?.paused ?? false;
  const counts = queue?.counts;
  return (
    <>
      <IconButton
        icon={paused ? Play : Pause}
        size="s"
        pressed={paused}
        disabled={!isAllowed || queue === null}
        label={t(paused ? "panels.queue.resume" : "panels.queue.pause")}
        onClick={() => void setPaused(!paused)}
      />
      {paused && <Badge tone="warn">{t("panels.queue.paused")}</Badge>}
      {counts && (
        <span className={panel.count} role="status">
          {t("panels.queue.counts", { running: counts.running, waiting: counts.queued })}
        </span>
      )}
    </>
  );
}

interface HeadingProps {
  readonly row: Extract<QueueRow, { kind: "heading" }>;
  readonly onToggle: () => void;
}

function Heading({ row, onToggle }: HeadingProps) {
  const title = row.day === null ? t(`panels.queue.${row.part}`) : dayLabel(row.day, new Date());
  return (
    <GridCell className={styles.heading} onClick={onToggle}>
      {title} <small>{row.count}</small>
    </GridCell>
  );
}

interface JobRowProps {
  readonly job: JobView;
  readonly active: boolean;
  readonly waiting: readonly JobView[];
}

function JobRow({ job, active, waiting }: JobRowProps) {
  const tab = active ? 0 : -1;
  return (
    <GridCell className={styles.job} data-active={active || undefined}>
      <span className={styles.mark} data-tone={jobTone(job)} />
      <div className={styles.main}>
        <span className={styles.name}>{job.name || t("panels.queue.unnamed")}</span>
        {job.state === "running" ? (
          <Progress
            value={job.progress || null}
            label={t("panels.queue.progressOf", { name: job.name })}
          />
        ) : (
          <small>{stateText(job)}</small>
        )}
      </div>
      <Times job={job} />
      <div className={styles.tools}>
        {job.state === "queued" && (
          <IconButton
            icon={job.held ? Play : Hand}
            size="s"
            tabIndex={tab}
            label={t(job.held ? "panels.queue.unhold" : "panels.queue.hold")}
            onClick={() => void setHeld(job, !job.held)}
          />
        )}
        {isEnded(job) ? (
          <IconButton
            icon={RotateCcw}
            size="s"
            tabIndex={tab}
            label={t("panels.queue.retry")}
            onClick={() => void retry(job)}
          />
        ) : (
          <IconButton
            icon={Square}
            size="s"
            tabIndex={tab}
            disabled={job.wanted === "cancel"}
            label={t("panels.queue.cancel")}
            onClick={() => void cancel(job)}
          />
        )}
        <MenuButton
          icon={EllipsisVertical}
          size="s"
          align="end"
          label={t("panels.queue.menu", { name: job.name })}
          items={() => jobMenu(job, waiting)}
        />
      </div>
    </GridCell>
  );
}

function Times({ job }: { readonly job: JobView }) {
  if (job.state === "running") {
    return (
      <span className={styles.time}>
        {job.secondsLeft === null
          ? `${Math.round(job.progress * 100)} %`
          : t("panels.queue.left", { time: duration(job.secondsLeft) })}
      </span>
    );
  }
  if (job.state === "queued") {
    return <span className={styles.time}>{job.position === null ? "" : `${job.position}.`}</span>;
  }
  const took = job.started !== null && job.finished !== null ? job.finished - job.started : null;
  return (
    <span className={styles.time}>
      {took !== null && <span>{duration(took)}</span>}
      <time>{moment(endOf(job), new Date())}</time>
    </span>
  );
}

function jobMenu(job: JobView, waiting: readonly JobView[]): readonly MenuEntry[] {
  const steps = [
    { step: "first", icon: ArrowUpToLine, keys: "alt+Home" },
    { step: "up", icon: ArrowUp, keys: "alt+ArrowUp" },
    { step: "down", icon: ArrowDown, keys: "alt+ArrowDown" },
    { step: "last", icon: ArrowDownToLine, keys: "alt+End" },
  ] as const;
  const entries: MenuEntry[] = [];
  if (job.state === "queued") {
    for (const { step, icon, keys } of steps) {
      entries.push({
        label: t(`panels.queue.move.${step}`),
        icon,
        keys,
        run: () => void move(waiting, job, step),
      });
    }
    entries.push("separator");
  }
  if (job.state === "running") {
    entries.push({ label: t("panels.queue.hold"), icon: Hand, run: () => void setHeld(job, true) });
  }
  entries.push(
    {
      label: t("panels.queue.results"),
      icon: Images,
      disabled: job.outputs.length === 0,
      run: () => showResults(job),
    },
    {
      label: t("panels.queue.openWorkflow"),
      icon: FileInput,
      run: () => void openJobWorkflow(job.id),
    },
    {
      label: t("panels.queue.compare"),
      icon: GitCompare,
      run: () => void compareWith(job),
    },
    { label: t("panels.queue.copyId"), run: () => void copyId(job) },
  );
  if (isEnded(job)) {
    entries.push("separator", {
      label: t("panels.queue.delete"),
      icon: Trash2,
      keys: "Delete",
      danger: true,
      run: () => void remove(job),
    });
  }
  return entries;
}

/** Compare its workflow with another job's; what compares is fetched only now. */
async function compareWith({ id }: JobView): Promise<void> {
  const { compareJobs } = await import("@/components/comparison/sides");
  compareJobs([id]);
}

function showResults(job: JobView): void {
  const [artifact] = job.outputs;
  if (artifact) useUi.getState().openDialog("viewer", { artifact, list: job.outputs });
}

function foldByKey(
  event: KeyboardEvent,
  row: Extract<QueueRow, { kind: "heading" }>,
  toggle: () => void,
): boolean {
  const wanted = { ArrowLeft: false, ArrowRight: true }[event.key];
  if (wanted === undefined) return false;
  if (wanted !== row.open) toggle();
  return true;
}

/** Delete cancels or forgets, H holds, R runs again; Alt with arrows moves. */
function actByKey(event: KeyboardEvent, job: JobView, waiting: readonly JobView[]): boolean {
  if (event.ctrlKey || event.metaKey) return false;
  if (event.altKey) {
    const steps = { ArrowUp: "up", ArrowDown: "down", Home: "first", End: "last" } as const;
    const step = steps[event.key as keyof typeof steps];
    if (step === undefined || job.state !== "queued") return false;
    void move(waiting, job, step);
    return true;
  }
  if (event.key === "Delete" || event.key === "Backspace") {
    void (isEnded(job) ? remove(job) : cancel(job));
  } else if (event.key === "h" && !isEnded(job)) void setHeld(job, !job.held);
  else if (event.key === "r" && isEnded(job)) void retry(job);
  else if (event.key === "o") void openJobWorkflow(job.id);
  else return false;
  return true;
}

/** The chosen row; the first job where none is chosen, or it is gone. */
function activeRow(rows: readonly QueueRow[], chosen: string | null): number {
  const found = rows.findIndex((row) => row.id === chosen);
  if (found >= 0) return found;
  return Math.max(
    0,
    rows.findIndex((row) => row.kind === "job"),
  );
}
