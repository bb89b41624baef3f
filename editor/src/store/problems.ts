/** All that is wrong with a workflow: what the check says, what runs of it told, broken packs. */
import type { Finding } from "@/api/schema";
import { changedSince } from "@/model/changed";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "./catalogue";
import { activeDocument, currentWorkflow } from "./documents";
import { type Jobs, type JobView, jobsLookedAt, type NodeState, shownJob, useJobs } from "./jobs";
import { type PlanState, usePlan } from "./plan";
import { type Running, useRunning } from "./running";

const NONE: readonly Finding[] = [];

export type Origin = "check" | "run" | "pack";

export interface Problem {
  readonly key: string;
  readonly origin: Origin;
  readonly finding: Finding;
  readonly isWarning: boolean;
}

/** Codes of what doesn't keep a workflow from running. */
const WARNINGS = new Set(["deprecated"]);

/** Each once, though the check and a run tell of it, or a block and the node in it. */
export function problemsOf(
  check: readonly Finding[],
  run: readonly Finding[],
  packs: readonly string[],
  warnings: readonly Finding[] = NONE,
): readonly Problem[] {
  const found = new Map<string, Problem>();
  const add = (origin: Origin, finding: Finding, isHarmless = false) => {
    const key = [finding.code, finding.node, finding.port, finding.message].join("\n");
    if (found.has(key)) return;
    const isWarning = isHarmless || origin === "pack" || WARNINGS.has(finding.code);
    found.set(key, { key, origin, finding, isWarning });
  };
  for (const finding of check) add("check", finding);
  for (const finding of run) add("run", finding);
  for (const finding of warnings) add("check", finding, true);
  for (const message of packs) add("pack", { code: "pack", message });
  return [...found.values()];
}

/** What the check finds of the active document, or as a run was refused. */
export function findingsOf(plan: PlanState, running: Running, document: string) {
  const planned = plan.document === document ? plan.problems : NONE;
  return planned.length > 0 ? planned : (running.refused.get(document) ?? NONE);
}

/** What the check warns of in the active document. */
export function warningsOf(plan: PlanState, document: string): readonly Finding[] {
  return plan.document === document ? plan.warnings : NONE;
}

/** Of the active document, as they are just now. */
export function activeProblems(): readonly Problem[] {
  const document = activeDocument();
  return problemsOf(
    findingsOf(usePlan.getState(), useRunning.getState(), document.id),
    failures(useJobs.getState(), document.id, currentWorkflow(document)),
    useCatalogue.getState().packProblems,
    warningsOf(usePlan.getState(), document.id),
  );
}

/**
 * What failed in runs of a document, from when it fails, and until it is run anew or edited.
 *
 * Of each node counts the newest run that began it, so that running something else meanwhile
 * takes nothing away.
 */
export function failures(state: Jobs, document: string, workflow: Workflow): readonly Finding[] {
  const found: Finding[] = [];
  const told = new Set<string>();
  const shown = shownJob(state, document);
  for (const job of jobsLookedAt(state, document)) {
    const { begun, failed, places } = toldBy(job.nodes);
    const isEdited = editedSince(job, workflow);
    const isOpen = ({ node }: Finding) =>
      !node || !(told.has(withoutCalls(node)) || isEdited(withoutCalls(node)));
    found.push(...failed.filter(isOpen));
    if (job === shown && job.state === "failed") {
      const isOther = ({ node }: Finding) => !node || !places.has(withoutCalls(node));
      found.push(...job.problems.filter((each) => isOther(each) && isOpen(each)));
    }
    for (const name of begun) told.add(name);
  }
  return found;
}

/** The job that told of a failure, of those that are looked at; null if none did. */
export function jobOfFailure(state: Jobs, document: string, failure: Finding): JobView | null {
  const isTold = (job: JobView) =>
    toldBy(job.nodes).failed.includes(failure) || job.problems.includes(failure);
  return jobsLookedAt(state, document).find(isTold) ?? null;
}

interface Told {
  /** Names of the nodes that it began. */
  readonly begun: readonly string[];
  readonly failed: readonly Finding[];
  /** The nodes that these name. */
  readonly places: ReadonlySet<string>;
}

const BEGUN: ReadonlySet<NodeState> = new Set(["running", "cached", "done", "failed"]);
const known = new WeakMap<JobView["nodes"], Told>();

/** What a run tells, found once for the same nodes: it is asked at each of its steps. */
function toldBy(nodes: JobView["nodes"]): Told {
  const found = known.get(nodes);
  if (found !== undefined) return found;
  const failed = [...nodes.values()].flatMap(({ problem }) => problem ?? []);
  const begun = [...nodes].flatMap(([name, { state }]) => (BEGUN.has(state) ? name : []));
  const places = new Set(failed.map(({ node }) => withoutCalls(node ?? "")));
  const told = { begun, failed, places };
  known.set(nodes, told);
  return told;
}

function editedSince({ source }: JobView, now: Workflow): (name: string) => boolean {
  return source === null ? () => false : changedSince(source, now);
}

/** A node's name without the number of its call over a list. */
function withoutCalls(name: string): string {
  return name.replace(/\[\d+\]/g, "");
}
