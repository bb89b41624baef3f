/** Comments on nodes: in the workflow, so that they are in its file, undone and shared. */
import { changeLayout, layoutOf, type NodeComment } from "../layout";
import { nodesOf, type Scope, scopesOf } from "../scope";
import type { Workflow } from "../workflow";

export interface Thread {
  readonly scope: Scope;
  readonly node: string;
  /** The oldest first. */
  readonly comments: readonly NodeComment[];
  readonly isResolved: boolean;
}

/** The threads of all graphs, in the order of the file. */
export function threadsOf(workflow: Workflow): readonly Thread[] {
  return scopesOf(workflow).flatMap((scope) => threadsIn(workflow, scope));
}

export function threadsIn(workflow: Workflow, scope: Scope): readonly Thread[] {
  const byNode = new Map<string, NodeComment[]>();
  for (const comment of layoutOf(workflow, scope).comments) {
    const known = byNode.get(comment.node);
    if (known === undefined) byNode.set(comment.node, [comment]);
    else known.push(comment);
  }
  return [...nodesOf(workflow, scope).keys()].flatMap((node) => {
    const comments = byNode.get(node);
    if (comments === undefined) return [];
    const isResolved = comments.every(({ resolved }) => resolved);
    return [{ scope, node, comments: comments.sort(byTime), isResolved }];
  });
}

function byTime(a: NodeComment, b: NodeComment): number {
  return a.at < b.at ? -1 : a.at > b.at ? 1 : 0;
}

export function addComment(workflow: Workflow, scope: Scope, comment: NodeComment): Workflow {
  if (!nodesOf(workflow, scope).has(comment.node)) return workflow;
  return changeComments(workflow, scope, (comments) => [...comments, comment]);
}

/** Mark a node's thread as settled, or open it again. */
export function resolveThread(
  workflow: Workflow,
  scope: Scope,
  node: string,
  resolved: boolean,
): Workflow {
  return changeComments(workflow, scope, (comments) =>
    comments.map((each) =>
      each.node === node && each.resolved !== resolved ? { ...each, resolved } : each,
    ),
  );
}

export function removeComment(workflow: Workflow, scope: Scope, id: string): Workflow {
  return changeComments(workflow, scope, (comments) => comments.filter((each) => each.id !== id));
}

function changeComments(
  workflow: Workflow,
  scope: Scope,
  change: (comments: readonly NodeComment[]) => readonly NodeComment[],
): Workflow {
  return changeLayout(workflow, scope, (layout) => ({
    ...layout,
    comments: change(layout.comments),
  }));
}
