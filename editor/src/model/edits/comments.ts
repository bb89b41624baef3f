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

/** Who settles a thread, and when. */
export interface Resolution {
  readonly by: string;
  /** ISO 8601, in UTC. */
  readonly at: string;
}

/** Mark a node's thread as settled; without a resolution it is open again. */
export function resolveThread(
  workflow: Workflow,
  scope: Scope,
  node: string,
  resolution: Resolution | null,
): Workflow {
  return changeComments(workflow, scope, (comments) =>
    comments.map((each) => {
      if (each.node !== node || each.resolved === (resolution !== null)) return each;
      const { resolvedAt: _at, resolvedBy: _by, ...open } = each;
      if (resolution === null) return { ...open, resolved: false };
      return { ...open, resolved: true, resolvedAt: resolution.at, resolvedBy: resolution.by };
    }),
  );
}

/** Give a comment another text; `at`: when. */
export function editComment(
  workflow: Workflow,
  scope: Scope,
  id: string,
  text: string,
  at: string,
): Workflow {
  return changeComments(workflow, scope, (comments) =>
    comments.map((each) =>
      each.id === id && each.text !== text ? { ...each, text, edited: at } : each,
    ),
  );
}

/** Whether somebody may change or delete a comment: its author, and anybody if it has none. */
export function isOwnComment({ author }: NodeComment, person: string): boolean {
  return author === "" || author === person;
}

export function removeComment(workflow: Workflow, scope: Scope, id: string): Workflow {
  return changeComments(workflow, scope, (comments) => comments.filter((each) => each.id !== id));
}

function changeComments(
  workflow: Workflow,
  scope: Scope,
  change: (comments: readonly NodeComment[]) => readonly NodeComment[],
): Workflow {
  const { comments } = layoutOf(workflow, scope);
  const changed = change(comments);
  const isSame = changed.length === comments.length && changed.every((c, at) => c === comments[at]);
  if (isSame) return workflow;
  return changeLayout(workflow, scope, (layout) => ({ ...layout, comments: changed }));
}
