/**
 * Runs edits of the active document by themselves, where that is switched on and doesn't take too
 * long. There is one such job of a document at most: a newer edit cancels it, and waits for its end.
 */
import { create } from "zustand";
import type { Workflow } from "@/model/workflow";
import { isComposing } from "./composing";
import { mayRun, useConnection } from "./connection";
import { activeDocument, currentWorkflow, type Document, useDocuments } from "./documents";
import { isEnded, type JobView, jobsOfDocument, useJobs } from "./jobs";
import { isQuiet, isSameRun, type Plan, usePlan } from "./plan";
import { ON_CHANGE, run, supersede, useRunning } from "./running";

/**
 * What keeps the last edit from being run. `busy`: another run of the document. `long`, `unknown`:
 * it would take too long, or nobody knows. `problems`: nothing can run, or a field can't be read.
 */
export type OnChangeState = "off" | "idle" | "waiting" | "busy" | "long" | "unknown" | "problems";

export const useRunOnChange = create<{ readonly state: OnChangeState }>()(() => ({ state: "off" }));

/** The nodes that edits of a document are run for; null for all of it. */
type Targets = (document: string) => readonly string[] | null;

let targetsOf: Targets = () => null;

/** Run edits for some nodes only, as while a canvas is shown; gives what ends that. */
export function runOnly(targets: Targets): () => void {
  targetsOf = targets;
  return () => {
    if (targetsOf === targets) targetsOf = () => null;
  };
}

/** Milliseconds without an edit after which one is run, and after which one within a word is. */
const SETTLED = 500;
const TYPED = 1500;
/** Jobs of a document, the newest first, that are looked at for one of the same. */
const RECENT = 5;

export interface OnChangeOptions {
  /** Whether a field holds a text that can't be read: the value before it would be run. */
  readonly isUnread: () => boolean;
}

/** Run edits from now on; gives what ends it. Once for a page. */
export function startRunningOnChange(options: OnChangeOptions): () => void {
  const following = new Following(options);
  const look = () => following.look();
  const stores = [useDocuments, usePlan, useJobs, useConnection, useRunning] as const;
  const stops = stores.map((store) => store.subscribe(look));
  look();
  return () => {
    for (const stop of stops) stop();
    following.stop();
  };
}

class Following {
  /** What each document was when it was run last, or since when its edits are run. */
  private readonly handled = new Map<string, Workflow>();
  private seen: Workflow | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private isSending = false;

  constructor(private readonly options: OnChangeOptions) {}

  stop(): void {
    this.settle();
    useRunOnChange.setState({ state: "off" });
  }

  look(): void {
    const document = activeDocument();
    const workflow = currentWorkflow(document);
    if (!document.onChange.on) {
      this.handled.delete(document.id);
      this.rest("off");
    } else if (this.isHandled(document.id, workflow)) this.rest("idle");
    else if (this.seen === null || !isSameRun(this.seen, workflow)) this.wait(workflow);
    else if (this.timer === null && !this.isSending) this.decide(document, workflow);
  }

  private isHandled(id: string, workflow: Workflow): boolean {
    const known = this.handled.get(id) ?? workflow;
    const isKnown = isSameRun(known, workflow) || wasRun(id, workflow);
    this.handled.set(id, isKnown ? workflow : known);
    return isKnown;
  }

  private rest(state: "off" | "idle"): void {
    this.settle();
    this.seen = null;
    say(state);
  }

  private settle(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private wait(workflow: Workflow): void {
    this.settle();
    this.seen = workflow;
    const settled = () => {
      this.timer = null;
      if (isComposing()) this.wait(workflow);
      else this.look();
    };
    this.timer = setTimeout(settled, isWithinWord() ? TYPED : SETTLED);
    say("waiting");
  }

  private decide(document: Document, workflow: Workflow): void {
    const open = jobsOfDocument(useJobs.getState(), document.id).filter((job) => !isEnded(job));
    const own = open.filter(({ tags }) => tags.includes(ON_CHANGE));
    // They run what the document isn't any more.
    for (const job of own) if (job.wanted !== "cancel") this.supersede(job);
    const plan = usePlan.getState();
    const obstacle = this.options.isUnread() ? "problems" : obstacleIn(plan, workflow, document);
    if (obstacle !== null) say(obstacle);
    else if (isSubmitting(document.id)) say("busy");
    else if (open.length > 0) say(own.length === open.length ? "waiting" : "busy");
    else if (!mayRun(useConnection.getState()) || useJobs.getState().queue?.paused) say("waiting");
    else void this.send(document.id, workflow, plan);
  }

  private readonly superseded = new Set<string>();

  private supersede({ id }: JobView): void {
    if (this.superseded.has(id)) return;
    this.superseded.add(id);
    void supersede(id);
  }

  private async send(id: string, workflow: Workflow, { counts }: Plan): Promise<void> {
    this.handled.set(id, workflow);
    this.rest("idle");
    // All of it is there already, and the plan shows it.
    if (counts.run + counts.lazy === 0) return;
    this.isSending = true;
    try {
      const targets = targetsOf(id);
      await run({ document: id, onChange: true, ...(targets === null ? {} : { targets }) });
    } finally {
      this.isSending = false;
      this.look();
    }
  }
}

/** Whether a run by a button is on its way to the server: nobody knows of its job yet. */
function isSubmitting(document: string): boolean {
  return (useRunning.getState().submitting.get(document) ?? 0) > 0;
}

function say(state: OnChangeState): void {
  if (useRunOnChange.getState().state !== state) useRunOnChange.setState({ state });
}

/** Whether the workflow was run as it is, by a button. */
function wasRun(document: string, workflow: Workflow): boolean {
  const wanted = JSON.stringify(targetsOf(document));
  const jobs = jobsOfDocument(useJobs.getState(), document).slice(0, RECENT);
  return jobs.some(
    ({ source, targets, tags }) =>
      source !== null &&
      (targets === null || JSON.stringify(targets) === wanted) &&
      !tags.includes(ON_CHANGE) &&
      isSameRun(source, workflow),
  );
}

function obstacleIn(
  plan: Plan & { readonly isAsking: boolean },
  workflow: Workflow,
  { onChange: { limit } }: Document,
): OnChangeState | null {
  const isOfThis = plan.workflow !== null && isSameRun(plan.workflow, workflow);
  if (!isOfThis || plan.isAsking || plan.state === "none") return "waiting";
  if (plan.state !== "ready" && !isQuiet(plan)) return "problems";
  if (limit === null || plan.counts.run + plan.counts.lazy === 0) return null;
  if ((plan.seconds ?? 0) > limit) return "long";
  return plan.unknownSeconds > 0 ? "unknown" : null;
}

/** Whether the caret stands right behind a letter: the word may not be at its end. */
function isWithinWord(): boolean {
  const field = document.activeElement;
  const isText = field instanceof HTMLTextAreaElement || field instanceof HTMLInputElement;
  if (!isText || field.selectionStart === null) return false;
  return /[\p{L}\p{N}]$/u.test(field.value.slice(0, field.selectionStart));
}
