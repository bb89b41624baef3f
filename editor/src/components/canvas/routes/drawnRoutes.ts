/** Ways for links around the cards as they are drawn. */

import { Adapter } from "@/components/canvas/adapt";
import { estimatedSize } from "@/components/canvas/card/geometry";
import { itemSizes } from "@/components/canvas/controller";
import { moveItems } from "@/model/edits";
import { itemOf } from "@/model/items";
import { layoutOf, type Point } from "@/model/layout";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useSettings } from "@/store/settings";
import { type Standing, withRoutes, withRoutesAnew } from "./routes";

/** With ways for links around the cards, wherever these stand now. */
export function routed(workflow: Workflow, scope: Scope): Workflow {
  return withRoutes(workflow, scope, standingNow(workflow, scope), style());
}

/** Items moved, and the links that were led around cards led anew. */
export function movedAndRouted(
  workflow: Workflow,
  scope: Scope,
  to: ReadonlyMap<string, Point>,
): Workflow {
  const names = [...to.keys()].filter((id) => itemOf(id).kind === "node");
  const moved = moveItems(workflow, scope, to);
  if (names.length === 0 || layoutOf(moved, scope).reroutes.size === 0) return moved;
  return withRoutesAnew(moved, scope, standingNow(moved, scope), style(), new Set(names));
}

const style = () => useSettings.getState().linkStyle;

/** The cards as large as they are drawn, or will be, at their places in the workflow. */
function standingNow(workflow: Workflow, scope: Scope): ReadonlyMap<string, Standing> {
  const scene = { workflow, scope, types: useCatalogue.getState().types };
  const [adapter, drawn] = [new Adapter(), itemSizes()];
  const { positions, sizes, collapsed } = layoutOf(workflow, scope);
  const standing = new Map<string, Standing>();
  for (const [name, { x, y }] of positions) {
    const card = adapter.card(name, scene);
    if (card === null) continue;
    const isCollapsed = collapsed.has(name);
    const { width, height } = drawn.get(name) ?? estimatedSize(card, sizes.get(name), isCollapsed);
    standing.set(name, { card, box: { x, y, width, height }, collapsed: isCollapsed });
  }
  return standing;
}
