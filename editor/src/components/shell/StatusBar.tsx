import {
  CircleAlert,
  CircleCheck,
  Download,
  Eye,
  Images,
  LoaderCircle,
  PlugZap,
  Zap,
} from "lucide-react";
import { useShallow } from "zustand/react/shallow";
import { Button, cx, tip } from "@/components/ui";
import { useCountdown } from "@/hooks/useCountdown";
import { useShownJob } from "@/hooks/useNodeRun";
import { useProblemCount } from "@/hooks/useProblems";
import { t } from "@/i18n";
import { atLeast, duration } from "@/i18n/format";
import { isReadingPacks, useCatalogue } from "@/store/catalogue";
import { isOffline, logIn, mayRun, socket, useConnection } from "@/store/connection";
import { sumOf, useDownloads } from "@/store/downloads";
import type { JobView } from "@/store/jobs";
import { useModels } from "@/store/models";
import { type Plan, unfinished, usePlan } from "@/store/plan";
import { useRunOnChange } from "@/store/runOnChange";
import { useUi } from "@/store/ui";
import styles from "./StatusBar.module.css";

/** The line at the bottom: the connection, what a run would do, problems, results. */
export function StatusBar() {
  return (
    <footer data-region="" className={styles.bar}>
      <ConnectionState />
      <ViewOnly />
      <PacksState />
      <Summary />
      <OnChangeState />
      <DownloadsState />
      <span className={styles.gap} />
      <Problems />
      <PanelButton name="gallery" />
    </footer>
  );
}

export function ConnectionState() {
  const state = useConnection((connection) => connection.state);
  const needsLogin = useConnection((connection) => connection.needsLogin);
  const offline = useConnection(isOffline);
  if (needsLogin) {
    return (
      <Button size="s" variant="ghost" icon={PlugZap} className={styles.lost} onClick={logIn}>
        {t("connection.logIn")}
      </Button>
    );
  }
  if (state === "lost") {
    return (
      <Button
        size="s"
        variant="ghost"
        icon={PlugZap}
        className={styles.lost}
        onClick={() => socket().retryNow()}
        {...tip(t(offline ? "offline.offlineDetail" : "shell.lostDetail"))}
      >
        {t(offline ? "offline.offline" : "connection.lost")}
      </Button>
    );
  }
  return (
    <span role="status" className={styles.item}>
      <span className={cx(styles.dot, state === "open" && styles.open)} />
      <span className={styles.server}>
        {state === "open" ? t("connection.open") : t("connection.connecting")}
      </span>
    </span>
  );
}

/** Says so where the caller may neither run nor save; leads to where another token is entered. */
function ViewOnly() {
  const allowed = useConnection(mayRun);
  if (allowed) return null;
  return (
    <Button
      size="s"
      variant="ghost"
      icon={Eye}
      onClick={logIn}
      {...tip(t("connection.viewOnlyDetail"))}
    >
      {t("connection.viewOnly")}
    </Button>
  );
}

/** Says so while the server has packs to read: nodes may still come. */
function PacksState() {
  const isReading = useCatalogue(isReadingPacks);
  if (!isReading) return null;
  return (
    <span role="status" className={styles.item}>
      <LoaderCircle aria-hidden size={12} className={styles.turning} />
      {t("shell.readingPacks")}
    </span>
  );
}

/** What a run would do, in one line. */
export function summaryOf(
  plan: Pick<Plan, "state" | "counts" | "seconds" | "unknownSeconds" | "problems">,
): string {
  if (plan.state === "invalid") return t("shell.plan.invalid");
  if (plan.state !== "ready" && plan.state !== "partial") return "";
  const { run, hit } = plan.counts;
  const count = unfinished(plan.problems);
  const left = count > 0 ? [t("shell.plan.unfinished", { count })] : [];
  if (run === 0) return hit > 0 ? [t("shell.plan.allCached"), ...left].join(" · ") : "";
  const parts = [t("shell.plan.run", { count: run })];
  if (hit > 0) parts.push(t("shell.plan.cached", { count: hit }));
  if (plan.unknownSeconds > 0) parts.push(atLeast(plan.seconds ?? 0));
  else if (plan.seconds) parts.push(t("shell.plan.time", { time: duration(plan.seconds) }));
  return [...parts, ...left].join(" · ");
}

/** While it runs, how long that still takes; else what a run would do. */
function Summary() {
  const running = useShownJob();
  return running?.state === "running" ? <RunSummary job={running} /> : <PlanSummary />;
}

function RunSummary({ job }: { readonly job: JobView }) {
  const left = useCountdown(job.secondsLeft);
  return (
    <span className={cx(styles.item, styles.plan)}>
      <LoaderCircle aria-hidden size={12} className={styles.turning} />
      {runningText(job.progress, left)}
    </span>
  );
}

/** How far a run is, in one line. */
export function runningText(progress: number, left: number | null): string {
  const done = t("shell.plan.done", { percent: Math.floor(100 * progress) });
  if (left === null || left < LEAST_LEFT) return done;
  return `${done} · ${t("shell.plan.left", { time: duration(left) })}`;
}

/** Less than this passes before it is read. */
const LEAST_LEFT = 0.5;

function PlanSummary() {
  const plan = usePlan(
    useShallow(({ state, counts, seconds, unknownSeconds, problems }) => ({
      state,
      counts,
      seconds,
      unknownSeconds,
      problems,
    })),
  );
  const isAsking = usePlan(({ isAsking }) => isAsking);
  const text = summaryOf(plan);
  if (text === "") return null;
  return (
    <span
      className={cx(styles.item, styles.plan, isAsking && styles.asking)}
      {...tip(t("shell.plan.tip"))}
    >
      {plan.state === "ready" && plan.counts.run === 0 && <CircleCheck aria-hidden size={13} />}
      {text}
      {isAsking && <LoaderCircle aria-hidden size={12} className={styles.turning} />}
    </span>
  );
}

/** What becomes of an edit that is to be run by itself. */
function OnChangeState() {
  const state = useRunOnChange((each) => each.state);
  if (state === "off" || state === "idle") return null;
  return (
    <span role="status" className={styles.item}>
      <Zap aria-hidden size={12} />
      {t(`running.onChange.state.${state}`)}
    </span>
  );
}

/** What comes of models, all downloads together; leads to them. */
function DownloadsState() {
  const { count, done, total, secondsLeft } = useDownloads(useShallow(({ items }) => sumOf(items)));
  if (count === 0) return null;
  const parts = [t("models.comes", { count })];
  if (total !== null && total > 0) parts.push(percent(done / total));
  if (secondsLeft !== null) parts.push(t("shell.plan.left", { time: duration(secondsLeft) }));
  const open = () => {
    useModels.getState().showTab("get");
    useUi.getState().showPanel("left", "models");
  };
  return (
    <Button size="s" variant="ghost" icon={Download} onClick={open}>
      {parts.join(" · ")}
    </Button>
  );
}

/** Rounded down: what isn't there yet is never at 100. */
function percent(share: number): string {
  return `${Math.floor(100 * Math.min(1, share))} %`;
}

function Problems() {
  const { count, isCalm } = useProblemCount();
  const shown = useUi((ui) => ui.panel.bottom === "problems");
  if (count === 0 && !shown) return null;
  return (
    <Button
      size="s"
      variant="ghost"
      icon={CircleAlert}
      aria-pressed={shown}
      className={isCalm ? undefined : styles.bad}
      onClick={() => useUi.getState().togglePanel("bottom", "problems")}
    >
      {t("shell.problems", { count })}
    </Button>
  );
}

function PanelButton({ name }: { readonly name: "gallery" }) {
  const shown = useUi((ui) => ui.panel.bottom === name);
  return (
    <Button
      size="s"
      variant="ghost"
      icon={Images}
      aria-pressed={shown}
      onClick={() => useUi.getState().togglePanel("bottom", name)}
    >
      {t(`shell.panel.${name}`)}
    </Button>
  );
}
