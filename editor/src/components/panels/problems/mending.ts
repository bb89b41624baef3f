/** Mending a problem of the active document: what is offered, and what a click does. */
import { create } from "zustand";
import type { Finding } from "@/api/schema";
import {
  boundsOfItems,
  freePlace,
  screenCenter,
  screenPoint,
  visibleCenter,
} from "@/components/canvas/controller";
import { t } from "@/i18n";
import { nodeNames } from "@/model/items";
import type { Point } from "@/model/layout";
import { type Mend, mendsOf } from "@/model/mends";
import type { NodeTypes } from "@/model/spec";
import { addOutput } from "@/model/usualMends";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow, useDocuments } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { placeOf, runNames } from "@/store/places";
import { activeProblems } from "@/store/problems";
import { useUi } from "@/store/ui";
import { edit } from "../inspector/change";

export interface Offered {
  readonly label: string;
  readonly key: string;
  readonly run: () => void;
}

/** What can be done about a problem, the likeliest first. `finding.node` is the run's name. */
export function mendsFor(
  finding: Finding,
  types: NodeTypes | null,
  workflow: Workflow,
): readonly Offered[] {
  if (types !== null && finding.code === "no-output") return outputMends(types, workflow);
  const place = finding.node ? placeOf(workflow, types, finding.node) : null;
  if (types === null || place === null) return [];
  const scope = place.path.at(-1) ?? null;
  return mendsOf(finding, { workflow, types, scope, node: place.node }).map((mend) => ({
    label: t(mend.label, mend.values),
    key: mend.label + Object.values(mend.values).join(),
    run: () => apply(mend, { ...place, port: finding.port ?? null }),
  }));
}

/** What shows or saves something, for a graph that does neither. */
function outputMends(types: NodeTypes, workflow: Workflow): readonly Offered[] {
  return addOutput(workflow, null, types).map((mend) => ({
    label: t(mend.label, mend.values),
    key: mend.label,
    run: () => {
      useDocuments.getState().goTo([]);
      if ("edit" in mend) edit("panels.edit.mend", (w) => mend.edit(w));
    },
  }));
}

/** What mends the problems of a node in the graph that is shown; labels name the input. */
export function mendsOfNode(node: string): readonly Offered[] {
  const document = activeDocument();
  const { types } = useCatalogue.getState();
  const workflow = currentWorkflow(document);
  const names = runNames(workflow, types, currentScope(document), node);
  const findings = activeProblems().filter(({ finding }) => names.includes(finding.node ?? ""));
  const found = findings.flatMap(({ finding }) =>
    mendsFor(finding, types, workflow).map((mend) => ({
      ...mend,
      label: findings.length > 1 && finding.port ? `${finding.port}: ${mend.label}` : mend.label,
    })),
  );
  return [...new Map(found.map((mend) => [mend.label, mend])).values()];
}

interface OpenedMends {
  readonly mends: readonly Offered[];
  readonly at: Point;
}

/** The menu of what mends a node, opened by keyboard. */
export const useMendMenu = create<{ readonly opened: OpenedMends | null }>()(() => ({
  opened: null,
}));

/** Open it for the selected node, or for the first problem that has a mend. */
export function openMends(): void {
  const document = activeDocument();
  const [selected] = nodeNames(document.selection);
  const { types } = useCatalogue.getState();
  const shown = selected !== undefined && mendsOfNode(selected).length > 0 ? selected : null;
  const place = shown === null ? firstPlace(types, currentWorkflow(document)) : null;
  if (place !== null && place.path.join("/") !== document.path.join("/")) {
    focusNode(place);
    return;
  }
  // The menu has the focus, so the card is only selected.
  if (place !== null) useDocuments.getState().select([place.node]);
  const node = shown ?? place?.node;
  const mends = node === undefined ? [] : mendsOfNode(node);
  if (node !== undefined && mends.length > 0) {
    useMendMenu.setState({ opened: { mends, at: besideCard(node) } });
  }
}

function firstPlace(types: NodeTypes | null, workflow: Workflow) {
  const found = activeProblems().find(
    ({ finding }) => mendsFor(finding, types, workflow).length > 0,
  );
  return found?.finding.node ? placeOf(workflow, types, found.finding.node) : null;
}

interface Spot {
  readonly path: readonly string[];
  readonly node: string;
  readonly port: string | null;
}

function apply(mend: Mend, spot: Spot): void {
  if ("edit" in mend) {
    const at = boundsOfItems([spot.node]) ? freePlace(spot.node, "left") : undefined;
    edit("panels.edit.mend", (workflow) => mend.edit(workflow, at));
  } else if (mend.opens === "models") useUi.getState().openDialog("missing");
  else {
    focusNode(spot);
    if (mend.opens === "types") openTypes(spot.node);
  }
}

/** The search for node types, which gives the node the type that is chosen. */
export function openTypes(node: string): void {
  useUi.getState().openAddNode({ screen: besideCard(node), at: visibleCenter(), replaces: node });
}

/** Beside a node's card, in the window. */
function besideCard(node: string): Point {
  const box = boundsOfItems([node]);
  return box ? screenPoint({ x: box.x + box.width + GAP, y: box.y }) : screenCenter();
}

const GAP = 8;
