/** What a card tells of its node's run and plan, in one word. */
import type { ShownRun } from "@/hooks/useNodeRun";
import type { NodeRun, NodeState } from "@/store/nodeRuns";
import type { NodePlan } from "@/store/plan";

export type CardState =
  | "none"
  | "waiting"
  | "running"
  | "cached"
  | "done"
  | "failed"
  | "skipped"
  | "stale"
  | "planned"
  | "lazy";

/**
 * The word for a node: what it is doing, else what it will do, else what it did last with the
 * values that it has.
 *
 * `active` says whether its run still goes on: then the run counts and not the plan. What did well
 * may be faulty now without an edit, as its pack is.
 */
export function stateOf(
  { run, active, isOutdated }: ShownRun,
  plan: NodePlan | null,
  isFaulty = false,
): CardState {
  if (run && (active || run.state === "running")) return run.state;
  if (run?.state === "failed" && plan?.status !== "hit" && !isOutdated) return "failed";
  if (plan) return plannedState(run, plan);
  return isOutdated || isFaulty ? "none" : (run?.state ?? "none");
}

/** Why a node runs again though nothing has changed. */
const ALWAYS: ReadonlySet<string> = new Set(["sink", "always", "random", "state"]);
const TRIED: ReadonlySet<NodeState> = new Set(["done", "cached", "failed"]);

function plannedState(run: NodeRun | null, plan: NodePlan): CardState {
  if (plan.status === "hit") return run?.state === "done" ? "done" : "cached";
  if (plan.status === "lazy") return "lazy";
  if (plan.status === "skip") return "skipped";
  if (run === null || !TRIED.has(run.state) || ALWAYS.has(plan.reason)) return "planned";
  return "stale";
}
