/** What is painted by the model: prompt, how far it may go, and the button that starts it. */

import { Play, Square, Zap } from "lucide-react";
import { progressText } from "@/components/panels/queue/states";
import { Button, IconButton, Progress } from "@/components/ui";
import { t } from "@/i18n";
import type { PaintCanvas } from "@/model/painting";
import { mayRun, useConnection } from "@/store/connection";
import { useActive, useDocuments } from "@/store/documents";
import { currentJob, jobsOfDocument, useJobs } from "@/store/jobs";
import { sampleCanvas, setLive } from "@/store/painting";
import { cancel, useRunning } from "@/store/running";
import { useUi } from "@/store/ui";
import { BoxFields } from "./BoxFields";
import { LackingModels } from "./LayerModel";
import { NodeField } from "./NodeField";
import styles from "./PromptBar.module.css";

export function PromptBar({ canvas }: { readonly canvas: PaintCanvas }) {
  const { sampler, prompt } = canvas;
  return (
    <section className={styles.bar} aria-label={t("painting.generate")}>
      <div className={styles.fields}>
        {prompt && <NodeField node={prompt.node} port={prompt.port} title={t("painting.prompt")} />}
        {sampler && (
          <>
            <NodeField node={sampler.node} port="denoise" />
            {sampler.steps !== null && <NodeField node={sampler.node} port="steps" />}
            <NodeField node={sampler.node} port="seed" />
          </>
        )}
        {sampler === null && <p className={styles.note}>{t("painting.noSampler")}</p>}
        <BoxFields canvas={canvas} />
      </div>
      <RunRow canvas={canvas} />
    </section>
  );
}

function RunRow({ canvas }: { readonly canvas: PaintCanvas }) {
  const document = useDocuments((state) => state.active);
  const allowed = useConnection(mayRun);
  const isSending = useRunning((running) => (running.submitting.get(document) ?? 0) > 0);
  const { on } = useActive((active) => active.onChange);
  const job = useJobs((state) => currentJob(jobsOfDocument(state, document)));
  const last = useJobs((state) => jobsOfDocument(state, document)[0] ?? null);
  return (
    <div className={styles.run}>
      {job !== null && (
        <Progress
          value={job.state === "running" ? job.progress : null}
          label={t("painting.progress")}
        />
      )}
      <LackingModels canvas={canvas} />
      <div className={styles.buttons}>
        <IconButton
          icon={Zap}
          label={t("painting.live")}
          pressed={on}
          disabled={!allowed}
          onClick={() => setLive(!on)}
        />
        {job !== null && (
          <IconButton
            icon={Square}
            danger
            label={t("painting.stop")}
            onClick={() => void cancel(job.id)}
          />
        )}
        <Button
          variant="primary"
          icon={Play}
          busy={isSending}
          disabled={!allowed || canvas.result === null}
          className={styles.start}
          onClick={() => void sampleCanvas()}
        >
          {t("painting.generate")}
        </Button>
      </div>
      {job !== null && <p className={styles.note}>{progressText(job)}</p>}
      {job === null && last?.state === "failed" && (
        <p role="alert" className={styles.fault}>
          {t("painting.runFailed")}{" "}
          <button
            type="button"
            className={styles.link}
            onClick={() => {
              useUi.getState().setView("graph");
              useUi.getState().showPanel("bottom", "problems");
            }}
          >
            {t("painting.showProblem")}
          </button>
        </p>
      )}
    </div>
  );
}
