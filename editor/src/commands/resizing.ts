/** Giving cards, notes and groups another size by keyboard. */

import { CARD_MIN_WIDTH } from "@/components/canvas/card/geometry";
import { itemBoxes } from "@/components/canvas/controller";
import { resizeNode, updateGroup, updateNote } from "@/model/edits";
import { itemOf } from "@/model/items";
import { type Box, layoutOf } from "@/model/layout";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { activeDocument, currentScope, useDocuments } from "@/store/documents";
import { useSettings } from "@/store/settings";
import { useUi } from "@/store/ui";
import type { Command } from "./registry";

const LEAST_HEIGHT = 56;
const RESIZED = ["node", "note", "group"];

function chosen(): readonly (readonly [string, Box])[] {
  const { selection } = activeDocument();
  return [...itemBoxes()].filter(([id]) => selection.has(id) && RESIZED.includes(itemOf(id).kind));
}

function resize(dx: number, dy: number): void {
  const { gridSize, snap } = useSettings.getState();
  const step = snap ? gridSize : 20;
  const scope = currentScope(activeDocument());
  const boxes = chosen();
  useDocuments
    .getState()
    .change(
      "canvas.edit.resize",
      (workflow) =>
        boxes.reduce((w, [id, box]) => resized(w, scope, id, box, dx * step, dy * step), workflow),
      { merge: "canvas.resize" },
    );
}

function resized(
  workflow: Workflow,
  scope: Scope,
  id: string,
  box: Box,
  dx: number,
  dy: number,
): Workflow {
  const item = itemOf(id);
  const width = Math.max(CARD_MIN_WIDTH, box.width + dx);
  const height = Math.max(LEAST_HEIGHT, box.height + dy);
  if (item.kind === "node") {
    // A card is as high as what it holds, until somebody wants it higher.
    const own = layoutOf(workflow, scope).sizes.get(item.name)?.height;
    const size =
      dy === 0 ? { width, ...(own !== undefined && { height: own }) } : { width, height };
    return resizeNode(workflow, scope, item.name, size);
  }
  const changed = { box: { ...box, width, height } };
  if (item.kind === "note") return updateNote(workflow, scope, item.id, changed);
  return item.kind === "group" ? updateGroup(workflow, scope, item.id, changed) : workflow;
}

function resizing(name: string, key: string, dx: number, dy: number): Command {
  return {
    id: `arrange.${name}`,
    label: `canvas.command.${name}`,
    group: "arrange",
    keys: [`mod+shift+${key}`],
    repeats: true,
    when: () => useUi.getState().view === "graph" && chosen().length > 0,
    run: () => resize(dx, dy),
  };
}

export const commands: readonly Command[] = [
  resizing("wider", "right", 1, 0),
  resizing("narrower", "left", -1, 0),
  resizing("taller", "down", 0, 1),
  resizing("shorter", "up", 0, -1),
];
