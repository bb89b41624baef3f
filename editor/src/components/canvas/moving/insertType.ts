/** Adding a node of a type that is known by its name. */

import type { Scene } from "@/components/canvas/adapt";
import { splicedNew } from "@/components/canvas/links/splice";
import type { Splice } from "@/components/canvas/links/splicing";
import { withRoom } from "@/components/canvas/placing/makeRoom";
import { keepingSeen } from "@/components/canvas/placing/staySeen";
import { insertNode, tellInserted } from "@/components/panels/lib/insert";
import type { Point } from "@/model/layout";
import { subgraphType } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow } from "@/store/documents";

/**
 * Put a node of this type on the canvas, in between a link where one is given; nothing happens if
 * there is no such type.
 */
export function insertType(scene: Scene, type: string, at: Point, splice: Splice | null): void {
  const { types } = useCatalogue.getState();
  if (types === null) return;
  const spec =
    subgraphType(types, currentWorkflow(activeDocument()), type) ?? types.byName.get(type);
  if (!spec) return;
  const place = { x: Math.round(at.x), y: Math.round(at.y) };
  const made = splice && splicedNew(scene, splice.edge, type, place, splice.before);
  if (!made) {
    insertNode(spec, place, null);
    return;
  }
  const keepSeen = keepingSeen();
  tellInserted(spec, withRoom(made.workflow, scene, made.name, splice.edge), made.name);
  keepSeen([made.name]);
}
