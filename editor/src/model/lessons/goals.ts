/** Whether what a step of a lesson asks for was done. */
import { type Json, numberOf, sameJson } from "../json";
import { literalOf, type Target } from "../links";
import type { Workflow } from "../workflow";
import type { Goal } from "./lesson";

/** What is known of the person's work since the step began. */
export interface Facts {
  /** The lesson's workflow, as it was opened. */
  readonly opened: Workflow;
  readonly now: Workflow;
  /** What was run and finished since. */
  readonly runs: readonly Workflow[];
  readonly downloads: number;
  /** Names of the selected nodes. */
  readonly selected: ReadonlySet<string>;
}

/**
 * Whether all goals are reached; never where there are none.
 *
 * Where a run is among them, what is asked of inputs holds for what was run: somebody may have
 * changed a value again while it ran, or only after it.
 */
export function isReached(goals: readonly Goal[], facts: Facts): boolean {
  if (goals.length === 0) return false;
  const needsRun = goals.some(({ kind }) => kind === "run");
  const held = needsRun ? facts.runs : [facts.now];
  return held.some((workflow) => goals.every((goal) => holds(goal, workflow, facts)));
}

function holds(goal: Goal, workflow: Workflow, facts: Facts): boolean {
  switch (goal.kind) {
    case "run":
      return true;
    case "download":
      return facts.downloads > 0;
    case "select":
      return facts.selected.has(goal.node);
    case "changed":
      return !sameJson(written(workflow, goal.input), written(facts.opened, goal.input));
    case "is":
      return isValue(written(workflow, goal.input), goal.value);
    case "below":
    case "above": {
      const number = numberOf(literalOf(written(workflow, goal.input)));
      if (number === null) return false;
      return goal.kind === "below" ? number < goal.bound : number > goal.bound;
    }
  }
}

function written(workflow: Workflow, { node, port }: Target): Json | undefined {
  return workflow.nodes.get(node)?.inputs.get(port);
}

/** 4 and 4.0 are one number. */
function isValue(found: Json | undefined, wanted: Json): boolean {
  const literal = literalOf(found);
  const [a, b] = [numberOf(literal), numberOf(wanted)];
  return a !== null && b !== null ? a === b : sameJson(literal, wanted);
}
