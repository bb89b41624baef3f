/** Running, and the queue. */
import { unreadField } from "@/components/widgets/useDraft";
import { t } from "@/i18n";
import { nodesOf } from "@/model/scope";
import { useCatalogue } from "@/store/catalogue";
import { mayRun, useConnection } from "@/store/connection";
import { activeDocument, currentScope, currentWorkflow, useDocuments } from "@/store/documents";
import { generate, useGenerate } from "@/store/generate";
import { isEnded, type JobView, jobsOfDocument, useJobs } from "@/store/jobs";
import { notify } from "@/store/notices";
import { runNames } from "@/store/places";
import {
  cancel,
  cancelAll,
  clearQueue,
  countOf,
  pauseQueue,
  resumeQueue,
  retry,
  run,
  useRunning,
} from "@/store/running";
import { useSettings } from "@/store/settings";
import { confirm, useUi } from "@/store/ui";
import type { Command } from "./registry";

export const commands: readonly Command[] = [
  {
    id: "run",
    label: "running.run",
    group: "run",
    keys: ["mod+enter"],
    inText: true,
    run: () => (isGenerating() ? generateUnlessHeld() : runAll(false)),
  },
  {
    id: "run-first",
    label: "running.runFirst",
    group: "run",
    keys: ["mod+shift+enter"],
    inText: true,
    run: () => runAll(true),
  },
  {
    id: "run-to-here",
    label: "running.runToHere",
    group: "run",
    keys: ["alt+enter"],
    when: () => canRun(),
    run: (context) => runToHere(context),
  },
  {
    id: "run-on-change",
    label: "running.onChange",
    group: "run",
    when: () => canRun(),
    checked: () => activeDocument().onChange.on,
    run: () => useDocuments.getState().setOnChange({ on: !activeDocument().onChange.on }),
  },
  {
    id: "cancel-run",
    label: "running.cancel",
    group: "run",
    keys: ["mod+alt+enter", "mod+."],
    inText: true,
    when: () => currentJob() !== null,
    run: async () => {
      const job = currentJob();
      if (job !== null) await cancel(job.id);
    },
  },
  {
    id: "cancel-document",
    label: "running.cancelDocument",
    group: "run",
    when: () => currentJob() !== null,
    run: () => cancelAll(shownId()),
  },
  {
    id: "cancel-all",
    label: "running.cancelAll",
    group: "run",
    danger: true,
    when: hasOpenJobs,
    run: () => cancelAll(),
  },
  {
    id: "retry-run",
    label: "running.retry",
    group: "run",
    when: () => lastJob()?.state === "failed" || lastJob()?.state === "cancelled",
    run: async () => {
      const job = lastJob();
      if (job !== null) await retry(job.id);
    },
  },
  {
    id: "pause-queue",
    label: "running.pauseQueue",
    group: "run",
    when: () => useJobs.getState().queue?.paused === false,
    run: async () => {
      await pauseQueue();
    },
  },
  {
    id: "resume-queue",
    label: "running.resumeQueue",
    group: "run",
    when: () => useJobs.getState().queue?.paused === true,
    run: async () => {
      await resumeQueue();
    },
  },
  {
    id: "clear-queue",
    label: "running.clearQueue",
    group: "run",
    danger: true,
    when: hasWaitingJobs,
    run: clear,
  },
];

function canRun(): boolean {
  return mayRun(useConnection.getState());
}

async function runAll(first: boolean): Promise<void> {
  if (!canRun()) {
    notify({
      kind: "info",
      title: t("shell.mayNotRun"),
      detail: t("connection.viewOnlyDetail"),
      key: "view-only",
    });
    return;
  }
  if (currentWorkflow(activeDocument()).nodes.size === 0) {
    notify({
      kind: "info",
      title: t("running.nothingToRun"),
      detail: t("running.nothingToRunDetail"),
      key: "nothing-to-run",
    });
    return;
  }
  if (isHeldByField()) return;
  await run({ count: countOf(useRunning.getState(), activeDocument().id), first });
}

/** Whether a text that can't be read stands in a field: the value before it would be run with. */
function isHeldByField(idPrefix = ""): boolean {
  const field = unreadField(idPrefix);
  if (field === null) return false;
  field.focus();
  notify({ kind: "info", title: t("running.unread"), key: "unread" });
  return true;
}

async function generateUnlessHeld(): Promise<void> {
  if (!isHeldByField("generate/")) await generate();
}

/** Up to the nodes that are named, or selected. */
async function runToHere(context: unknown): Promise<void> {
  const document = activeDocument();
  const workflow = currentWorkflow(document);
  const scope = currentScope(document);
  const nodes = nodesOf(workflow, scope);
  const named = namesIn(context);
  const chosen = (named.length > 0 ? named : [...document.selection]).filter((name) =>
    nodes.has(name),
  );
  if (chosen.length === 0) {
    notify({ kind: "info", title: t("running.nothingSelected"), key: "nothing-selected" });
    return;
  }
  if (isHeldByField()) return;
  const { types } = useCatalogue.getState();
  const targets = chosen.flatMap((name) => runNames(workflow, types, scope, name));
  await run({ targets });
}

/** The nodes of a menu's context: a name, names, or `{node}`. */
function namesIn(context: unknown): readonly string[] {
  if (typeof context === "string") return [context];
  if (Array.isArray(context)) return context.filter((each) => typeof each === "string");
  if (typeof context !== "object" || context === null) return [];
  const { node } = context as { readonly node?: unknown };
  return typeof node === "string" ? [node] : [];
}

function isGenerating(): boolean {
  return useUi.getState().view === "generate";
}

/** By which the jobs are known of what is shown: the page without a graph, or the document. */
function shownId(): string {
  return isGenerating() ? useGenerate.getState().id : useDocuments.getState().active;
}

/** What the active document does just now: what runs, or else what is next. */
function currentJob(): JobView | null {
  const jobs = jobsOfDocument(useJobs.getState(), shownId());
  const open = jobs.filter((job) => !isEnded(job) && job.wanted !== "cancel");
  return open.find((job) => job.state === "running") ?? open.at(-1) ?? null;
}

function lastJob(): JobView | null {
  return jobsOfDocument(useJobs.getState(), useDocuments.getState().active)[0] ?? null;
}

function hasOpenJobs(): boolean {
  return [...useJobs.getState().jobs.values()].some((job) => !isEnded(job));
}

function hasWaitingJobs(): boolean {
  return (useJobs.getState().queue?.counts.queued ?? 0) > 0;
}

async function clear(): Promise<void> {
  const count = useJobs.getState().queue?.counts.queued ?? 0;
  const isSure =
    !useSettings.getState().confirmations.clearQueue ||
    (await confirm({
      title: t("running.clearQueue"),
      detail: t("running.clearQueueDetail", { count }),
      confirm: t("running.clearQueue"),
      danger: true,
    }));
  if (isSure) await clearQueue();
}
