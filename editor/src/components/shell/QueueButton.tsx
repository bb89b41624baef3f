import { ListVideo } from "lucide-react";
import { useShallow } from "zustand/react/shallow";
import { cx, tip } from "@/components/ui";
import { t } from "@/i18n";
import { isEnded, type Jobs, useJobs } from "@/store/jobs";
import { useUi } from "@/store/ui";
import styles from "./QueueButton.module.css";

interface Load {
  /** Jobs that wait or run. */
  readonly open: number;
  /** 0 to 1 of the job that runs, or null. */
  readonly progress: number | null;
  readonly paused: boolean;
}

export function loadOf({ jobs, queue }: Pick<Jobs, "jobs" | "queue">): Load {
  const live = [...jobs.values()].filter((job) => !isEnded(job));
  const running = live.filter((job) => job.state === "running");
  return {
    open: live.length,
    progress: running.length > 0 ? Math.max(...running.map((job) => job.progress)) : null,
    paused: queue?.paused ?? false,
  };
}

/** How many jobs wait or run, with a ring of the running one's progress; opens the queue. */
export function QueueButton() {
  const { open, progress, paused } = useJobs(useShallow(loadOf));
  const shown = useUi((ui) => ui.panel.bottom === "queue");
  const label = t(paused ? "shell.queuePaused" : "shell.queue", { count: open });
  return (
    <button
      type="button"
      aria-label={label}
      aria-pressed={shown}
      className={cx(styles.button, paused && styles.paused)}
      onClick={() => useUi.getState().togglePanel("bottom", "queue")}
      {...tip(label)}
    >
      {progress === null ? <ListVideo aria-hidden size={16} /> : <Ring share={progress} />}
      {open > 0 && <span className={styles.count}>{open}</span>}
    </button>
  );
}

const LENGTH = 2 * Math.PI * 6;

function Ring({ share }: { readonly share: number }) {
  return (
    <svg aria-hidden="true" viewBox="0 0 16 16" width={16} height={16} className={styles.ring}>
      <circle cx="8" cy="8" r="6" className={styles.track} />
      <circle
        cx="8"
        cy="8"
        r="6"
        className={styles.arc}
        strokeDasharray={LENGTH}
        strokeDashoffset={LENGTH * (1 - share)}
      />
    </svg>
  );
}
