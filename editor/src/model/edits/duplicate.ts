/** Copies beside the originals. */
import type { Point } from "../layout";
import type { Scope } from "../scope";
import type { Workflow } from "../workflow";
import { extract, insert, itemsOf } from "./fragment";

export interface DuplicateOptions {
  /** Keep the links that come from nodes which aren't duplicated. */
  readonly withLinks?: boolean;
  readonly offset?: Point;
}

export function duplicate(
  workflow: Workflow,
  scope: Scope,
  items: Iterable<string>,
  { withLinks = true, offset = { x: 40, y: 40 } }: DuplicateOptions = {},
): { workflow: Workflow; items: readonly string[]; originals: readonly string[] } {
  const fragment = extract(workflow, scope, items);
  const made = insert(workflow, scope, fragment, offset, { withLinks });
  return { workflow: made.workflow, items: made.items, originals: itemsOf(fragment) };
}
