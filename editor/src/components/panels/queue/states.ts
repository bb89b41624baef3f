/** A job's state in words and colour. */
import { t } from "@/i18n";
import { duration } from "@/i18n/format";
import type { JobView } from "@/store/jobs";

export function jobTone(job: JobView): "run" | "good" | "bad" | "warn" | "neutral" {
  if (job.state === "running") return "run";
  if (job.state === "finished") return "good";
  if (job.state === "failed") return "bad";
  return job.held ? "warn" : "neutral";
}

export function stateText(job: JobView): string {
  if (job.wanted === "cancel") return t("panels.job.cancelling");
  if (job.wanted === "pause") return t("panels.job.pausing");
  if (job.state === "queued" && job.held) return t("panels.job.held");
  if (job.state === "failed" && job.error !== null) return job.error.message;
  return t(`panels.job.${job.state}`);
}

/** How far a waiting or running job is: its turn, or its percent and the time left.
 * `open` counts the jobs of the same document, where the other ones are worth a word. */
export function progressText(job: JobView, open = 1): string {
  if (job.state === "queued") {
    return job.position === null
      ? t("appmode.queued")
      : t("appmode.waiting", { position: job.position });
  }
  const parts = [`${Math.floor(job.progress * 100)} %`];
  if (job.secondsLeft !== null) parts.push(t("appmode.left", { time: duration(job.secondsLeft) }));
  if (open > 1) parts.push(t("generate.more", { count: open - 1 }));
  return parts.join(" · ");
}
