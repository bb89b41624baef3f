import type { Finding } from "@/api/schema";
import { problemText } from "@/i18n/format";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { useQuietly } from "@/store/asked";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow } from "@/store/documents";
import { runNames } from "@/store/places";
import { usePlan } from "@/store/plan";

/** What the plan says is wrong with an input of the graph that is shown. */
export function useInputProblem(node: string, port: string): string | null {
  const quietly = useQuietly();
  const finding = usePlan(({ problems }) => {
    if (problems.length === 0) return null;
    const document = activeDocument();
    return findingAt(problems, currentWorkflow(document), currentScope(document), node, port);
  });
  return finding === null || quietly(finding) ? null : problemText(finding);
}

/** The words for the first problem of an input, and what to do about it. */
export function problemAt(...input: Parameters<typeof findingAt>): string | null {
  const found = findingAt(...input);
  return found && problemText(found);
}

/** The first problem of an input. */
function findingAt(
  problems: readonly Finding[],
  workflow: Workflow,
  scope: Scope,
  node: string,
  port: string,
): Finding | null {
  const known = byPlace(problems);
  const names = runNames(workflow, useCatalogue.getState().types, scope, node);
  return names.map((name) => known.get(`${name}.${port}`)).find(Boolean) ?? null;
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
