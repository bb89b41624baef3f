import { ArrowDownUp, Sparkles, Square } from "lucide-react";
import { useEffect } from "react";
import { commandById, keysOf, run } from "@/commands";
import { keyText } from "@/commands/keys";
import { progressText } from "@/components/panels/queue/states";
import { Button, IconButton, Progress } from "@/components/ui";
import { t } from "@/i18n";
import { mayRun, useConnection } from "@/store/connection";
import { cancelGenerating, useGenerate } from "@/store/generate";
import { currentJob, isEnded, jobsOfDocument, useJobs } from "@/store/jobs";
import styles from "./GeneratePage.module.css";
import { useFaults } from "./useFaults";

/** Generates, tells how far that is, and what keeps it from beginning. */
export function GenerateBar() {
  const id = useGenerate((page) => page.id);
  const count = useGenerate(({ settings }) => settings.count);
  const isSending = useGenerate((page) => page.isSending);
  const allowed = useConnection(mayRun);
  const job = useJobs((state) => currentJob(jobsOfDocument(state, id)));
  const left = useJobs(
    (state) => jobsOfDocument(state, id).filter((each) => !isEnded(each)).length,
  );
  const keys = commandById("run");
  const key = keys ? keysOf(keys)[0] : undefined;
  return (
    <div className={styles.bar}>
      <FaultLine />
      {job !== null && (
        <>
          <Progress
            value={job.state === "running" ? job.progress : null}
            label={t("generate.progress")}
          />
          <p className={styles.state} aria-live="polite">
            {progressText(job, left)}
          </p>
        </>
      )}
      <div className={styles.buttons}>
        {job !== null && (
          <Button icon={Square} className={styles.large} onClick={() => void cancelGenerating()}>
            {t("generate.cancel")}
          </Button>
        )}
        <IconButton
          icon={ArrowDownUp}
          label={t("generate.jump")}
          className={styles.jump}
          onClick={jump}
        />
        <Button
          variant="primary"
          icon={Sparkles}
          className={styles.generate}
          busy={isSending}
          disabled={!allowed}
          title={key === undefined ? undefined : keyText(key)}
          onClick={() => run("run")}
        >
          {count > 1 ? t("generate.generateMany", { count }) : t("generate.generate")}
        </Button>
      </div>
      {!allowed && <p className={styles.state}>{t("shell.mayNotRun")}</p>}
    </div>
  );
}

/** On a phone: from the settings to the images, and back. */
function jump(): void {
  const results = document.querySelector("[data-results]");
  const isSeen = (results?.getBoundingClientRect().top ?? 0) < innerHeight / 2;
  const place = isSeen ? document.querySelector("[data-settings]") : results;
  place?.scrollIntoView({ block: "start", behavior: "smooth" });
}

/** What is wrong, where it belongs to no field or to one that is out of sight. */
function FaultLine() {
  const faults = useFaults();
  useEffect(() => showFirst([...faults.keys()]), [faults]);
  if (faults.size === 0) return null;
  const general = faults.get("");
  return (
    <p role="alert" className={styles.fault}>
      {general ?? t("appmode.atFields")}
    </p>
  );
}

/** Bring the first field that is marked into view, also one that is folded away. */
function showFirst(fields: readonly string[]): void {
  const marked = [...document.querySelectorAll<HTMLElement>("[data-field]")];
  const first = marked.find(({ dataset }) => fields.includes(dataset.field ?? ""));
  const folded = first?.closest("details");
  if (folded) folded.open = true;
  first?.scrollIntoView?.({ block: "center" });
}
