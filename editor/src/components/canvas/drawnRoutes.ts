/** Ways for links around the cards as they are drawn. */
import { moveItems } from "@/model/edits";
import { itemOf } from "@/model/items";
import { layoutOf, type Point } from "@/model/layout";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { useSettings } from "@/store/settings";
import { canvas, itemSizes } from "./controller";
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

/** The cards as they are drawn, at their places in the workflow. */
function standingNow(workflow: Workflow, scope: Scope): ReadonlyMap<string, Standing> {
  const sizes = itemSizes();
  const { positions, collapsed } = layoutOf(workflow, scope);
  const standing = new Map<string, Standing>();
  for (const node of canvas()?.flow.getNodes() ?? []) {
    const [at, size] = [positions.get(node.id), sizes.get(node.id)];
    if (node.type !== "card" || !at || !size) continue;
    const box = { x: at.x, y: at.y, width: size.width, height: size.height };
    standing.set(node.id, { card: node.data.card, box, collapsed: collapsed.has(node.id) });
  }
  return standing;
}
