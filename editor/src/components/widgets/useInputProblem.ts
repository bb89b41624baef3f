import type { Finding } from "@/api/schema";
import { problemText } from "@/i18n/format";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow } from "@/store/documents";
import { runNames } from "@/store/places";
import { usePlan } from "@/store/plan";

/** What the plan says is wrong with an input of the graph that is shown. */
export function useInputProblem(node: string, port: string): string | null {
  return usePlan(({ problems }) => {
    if (problems.length === 0) return null;
    const document = activeDocument();
    return problemAt(problems, currentWorkflow(document), currentScope(document), node, port);
  });
}

/** The words for the first problem of an input, and what to do about it. */
export function problemAt(
  problems: readonly Finding[],
  workflow: Workflow,
  scope: Scope,
  node: string,
  port: string,
): string | null {
  const known = byPlace(problems);
  const names = runNames(workflow, useCatalogue.getState().types, scope, node);
  const found = names.map((name) => known.get(`${name}.${port}`)).find(Boolean);
  return found === undefined ? null : problemText(found);
}

// Every field looks at each plan: it mustn't walk the whole list.
const places = new WeakMap<readonly Finding[], ReadonlyMap<string, Finding>>();

function byPlace(problems: readonly Finding[]): ReadonlyMap<string, Finding> {
  const known = places.get(problems);
  if (known) return known;
  const found = new Map<string, Finding>();
  for (const problem of problems) {
    const place = `${problem.node}.${problem.port}`;
    if (problem.node && problem.port && !found.has(place)) found.set(place, problem);
  }
  places.set(problems, found);
  return found;
}
