/** What a card tells of its node's run and plan, in one word. */
import type { NodeRun } from "@/store/nodeRuns";
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
 * The word for a node: what it is doing, else what it will do, else what it did last.
 *
 * `active` says whether its run still goes on: then the run counts and not the plan.
 */
export function stateOf(run: NodeRun | null, plan: NodePlan | null, active: boolean): CardState {
  if (run && (active || run.state === "running")) return run.state;
  if (run?.state === "failed" && plan?.status !== "hit") return "failed";
  if (plan) return plannedState(run, plan);
  return run?.state ?? "none";
}

function plannedState(run: NodeRun | null, plan: NodePlan): CardState {
  if (plan.status === "hit") return run?.state === "done" ? "done" : "cached";
  if (plan.status === "lazy") return "lazy";
  if (plan.status === "skip") return "skipped";
  return run?.state === "done" || run?.state === "cached" ? "stale" : "planned";
}
