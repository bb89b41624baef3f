/** Says to screen readers what others see: where a walk along links leads, how a run ends. */
import { useEffect, useRef } from "react";
import { useShownJob } from "@/hooks/useNodeRun";
import { t } from "@/i18n";
import { speak, useSpoken } from "@/store/spoken";
import styles from "./Spoken.module.css";

/** States of a run that are said; others pass too quickly. */
const SAID: ReadonlySet<string> = new Set(["running", "finished", "failed", "cancelled"]);

export function Spoken() {
  const text = useSpoken((spoken) => spoken.text);
  useSaidRun();
  return (
    <p role="status" aria-label={t("links.spoken")} className={styles.spoken}>
      {text}
    </p>
  );
}

/** Say what becomes of the run that is shown, but not of one that was over before. */
function useSaidRun(): void {
  const job = useShownJob();
  const before = useRef(job);
  useEffect(() => {
    const last = before.current;
    before.current = job;
    if (job === null || !SAID.has(job.state)) return;
    const isNews = last?.id === job.id ? last.state !== job.state : job.state === "running";
    if (isNews) speak(t(`links.run.${job.state}`));
  }, [job]);
}
