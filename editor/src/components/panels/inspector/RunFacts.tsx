/** What became of a node in the last run, and what the next one will do with it. */
import { Badge, Progress, type Tone } from "@/components/ui";
import { reasonText, shortageText, useNodePlan } from "@/hooks/useNodePlan";
import { useNodeRun, useShownPlace } from "@/hooks/useNodeRun";
import { t } from "@/i18n";
import { duration, sentences } from "@/i18n/format";
import styles from "./Inspector.module.css";
import { Section } from "./Section";

const TONES: Readonly<Record<string, Tone>> = {
  waiting: "neutral",
  running: "run",
  cached: "cached",
  done: "good",
  failed: "bad",
  skipped: "warn",
};

export function RunFacts({ name }: { readonly name: string }) {
  const place = useShownPlace();
  const { run } = useNodeRun(place, name);
  const plan = useNodePlan(place, name);
  if (run === null && plan === null) return null;
  return (
    <Section name="run" title={t("panels.inspector.run")}>
      <dl className={styles.facts}>
        {plan && (
          <div>
            <dt>{t("panels.inspector.nextRun")}</dt>
            <dd>
              <Badge tone={plan.status === "hit" ? "cached" : "run"}>
                {t(`panels.plan.${plan.status}`)}
              </Badge>{" "}
              {plan.status === "run" && plan.seconds !== null && duration(plan.seconds)}
            </dd>
          </div>
        )}
        {plan?.reason && (
          <div>
            <dt>{t("panels.inspector.why")}</dt>
            <dd>{reasonText(plan.reason)}</dd>
          </div>
        )}
        {plan?.shortage && (
          <div>
            <dt>{t("panels.inspector.memory")}</dt>
            <dd>{shortageText(plan.shortage)}</dd>
          </div>
        )}
        {run && (
          <div>
            <dt>{t("panels.inspector.lastRun")}</dt>
            <dd>
              <Badge tone={TONES[run.state] ?? "neutral"}>{t(`panels.state.${run.state}`)}</Badge>{" "}
              {run.seconds !== null && duration(run.seconds)}
            </dd>
          </div>
        )}
        {run?.calls && (run.calls.total ?? run.calls.done) > 1 && (
          <div>
            <dt>{t("panels.inspector.calls")}</dt>
            <dd>
              {run.calls.done}
              {run.calls.total !== null && ` / ${run.calls.total}`}
            </dd>
          </div>
        )}
      </dl>
      {run?.state === "running" && run.total !== null && run.total > 0 && (
        <Progress
          value={(run.step ?? 0) / run.total}
          label={t("panels.inspector.step", { step: run.step, total: run.total })}
        />
      )}
      {run?.problem && (
        <p className={styles.bad}>{sentences(run.problem.message, run.problem.hint)}</p>
      )}
    </Section>
  );
}
