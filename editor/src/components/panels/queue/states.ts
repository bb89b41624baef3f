/** A job's state in words and colour. */
import { t } from "@/i18n";
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
