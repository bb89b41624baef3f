/** What led to a result: values of its own sampling, and parameters of nodes that it depends on. */
import { upstream } from "@/model/graph";
import type { Workflow } from "@/model/workflow";
import { literalsOf } from "./differences";

export interface NamedValue {
  readonly name: string;
  readonly value: string;
}

const SAMPLING = ["seed", "steps", "cfg", "sampler", "schedule", "denoise"];

/**
 * Those of the nearest sampling first, then parameters, those of near nodes first.
 *
 * Of a node that the workflow doesn't have, all parameters.
 */
export function madeWith(workflow: Workflow, node: string): readonly NamedValue[] {
  const labels = new Map(
    [...workflow.parameters].map(([name, each]) => [each.input, each.label || name]),
  );
  const values = new Map(literalsOf(workflow).map(({ place, value }) => [place, value]));
  const [first = ""] = node.replace(/\[\d+\]/g, "").split("/");
  // Nearest first, as it is walked from the node.
  const behind = workflow.nodes.has(first) ? [...upstream(workflow.nodes, [first])] : null;
  const rank = (place: string) =>
    behind === null ? 0 : behind.indexOf(place.slice(0, place.indexOf(".")));
  const sampling = behind?.find(
    (name) => values.has(`${name}.seed`) && values.has(`${name}.steps`),
  );
  const near = sampling === undefined ? [] : SAMPLING.map((port) => `${sampling}.${port}`);
  const others = [...labels.keys()]
    .filter((place) => rank(place) >= 0 && !near.includes(place))
    .sort((a, b) => rank(a) - rank(b));
  const named = new Map<string, string>();
  for (const place of [...near, ...others]) {
    const value = values.get(place);
    if (value === undefined) continue;
    const name = labels.get(place) ?? place.slice(place.indexOf(".") + 1);
    named.set(named.has(name) ? place : name, value);
  }
  return [...named].map(([name, value]) => ({ name, value }));
}
