/** The graph that is shown, as nodes and edges for the canvas library. */
import type { NodeChange } from "@xyflow/react";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useShallow } from "zustand/react/shallow";
import { layoutOf, type Point } from "@/model/layout";
import { nodesOf, type Scope } from "@/model/scope";
import type { NodeTypes } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { currentWorkflow, type Document, documentById, useDocuments } from "@/store/documents";
import { dragsIn, pointersOf, usePointers } from "@/store/pointers";
import { type LinkStyle, useSettings } from "@/store/settings";
import { Adapter, type CanvasEdge, type CanvasNode, type Scene } from "./adapt";
import { Assembler, changed, type Local, NO_LOCAL } from "./assemble";
import { estimatedSize } from "./card/geometry";
import { placeAll } from "./placing/placement";
import { settle } from "./placing/settle";
import { inSlices, isUnrouted, MOST_AT_ONCE, markUnrouted } from "./routes/routeLater";
import { routing, type Standing, withRoutes } from "./routes/routes";
import { Ways } from "./routes/ways";

export interface SceneView {
  readonly scene: Scene;
  readonly nodes: CanvasNode[];
  readonly edges: CanvasEdge[];
  readonly selection: ReadonlySet<string>;
  readonly local: Local;
  readonly change: (changes: readonly NodeChange<CanvasNode>[]) => void;
  readonly setLocal: (next: (local: Local) => Local) => void;
}

const NONE: ReadonlySet<string> = new Set();

/** Of one document's graph; `document` and `scope` stay the same for as long as this is used. */
export function useScene(document: string, scope: Scope): SceneView {
  const types = useCatalogue((state) => state.types);
  const { written, selection } = useDocuments(
    useShallow(() => {
      const found = documentById(document);
      return { written: found && currentWorkflow(found), selection: found?.selection ?? NONE };
    }),
  );
  const adapter = useRef(new Adapter());
  const assembler = useRef(new Assembler());
  const ways = useRef(new Ways());
  const [local, setLocal] = useState(NO_LOCAL);
  const last = useRef<Workflow | null>(written);
  if (written !== null) last.current = written;
  const workflow = usePlaced(last.current, document, scope, types, adapter.current);
  const scene = useMemo(() => ({ workflow, scope, types }), [workflow, scope, types]);
  const base = useMemo(() => adapter.current.nodes(scene), [scene]);
  const drawn = useMemo(() => adapter.current.edges(scene, selection), [scene, selection]);
  const style = useSettings((state) => state.linkStyle);
  const edges = useMemo(
    () => ways.current.lead(drawn, base, local.measured, style),
    [drawn, base, local.measured, style],
  );
  const dragged = useDragsOfOthers(document, scope);
  const nodes = useMemo(
    () => assembler.current.assemble(base, withDrags(local, dragged), selection),
    [base, local, dragged, selection],
  );
  const change = useCallback((changes: readonly NodeChange<CanvasNode>[]) => {
    setLocal((before) => changed(before, changes));
  }, []);
  // The library wants arrays that it may change; it doesn't.
  return { scene, nodes, edges: edges as CanvasEdge[], selection, local, change, setLocal };
}

function useDragsOfOthers(document: string, scope: Scope): ReadonlyMap<string, Point> {
  return usePointers(
    useShallow((state) =>
      dragsIn(pointersOf(state, document), (path) => (path.at(-1) ?? null) === scope),
    ),
  );
}

/** What somebody here drags is where it is dragged to. */
function withDrags(local: Local, dragged: ReadonlyMap<string, Point>): Local {
  return dragged.size === 0 ? local : { ...local, moves: new Map([...dragged, ...local.moves]) };
}

/** The workflow with a place for each node; places that it lacked are kept without an undo step. */
function usePlaced(
  written: Workflow | null,
  document: string,
  scope: Scope,
  types: NodeTypes | null,
  adapter: Adapter,
): Workflow {
  const placed = useMemo(() => {
    if (written === null) throw new Error("the document isn't open");
    const scene = { workflow: written, scope, types };
    const found = placeAll(written, scope, types, (name) => {
      const card = adapter.card(name, scene);
      return card ? estimatedSize(card, undefined, false) : { width: 0, height: 0 };
    });
    if (isPlaced(written, scope)) return found;
    return nodesOf(found, scope).size > MOST_AT_ONCE
      ? markUnrouted(found)
      : withRoutes(found, scope, standingIn({ ...scene, workflow: found }, adapter), linkStyle());
  }, [written, scope, types, adapter]);
  useLayoutEffect(() => {
    if (written !== null && placed !== written) settle(document, written, placed);
  }, [document, written, placed]);
  useEffect(() => {
    if (!isUnrouted(placed)) return undefined;
    const standing = standingIn({ workflow: placed, scope, types }, adapter);
    return inSlices(routing(placed, scope, standing, linkStyle()), (found) =>
      settle(document, placed, found),
    );
  }, [document, placed, scope, types, adapter]);
  return placed;
}

function linkStyle(): LinkStyle {
  return useSettings.getState().linkStyle;
}

/** Whether somebody has placed any of a graph's nodes. */
function isPlaced(workflow: Workflow, scope: Scope): boolean {
  return layoutOf(workflow, scope).positions.size > 0;
}

/** The cards of a graph where they stand. */
function standingIn(scene: Scene, adapter: Adapter): ReadonlyMap<string, Standing> {
  const standing = new Map<string, Standing>();
  for (const [name, at] of layoutOf(scene.workflow, scene.scope).positions) {
    const card = adapter.card(name, scene);
    if (card === null) continue;
    standing.set(name, {
      card,
      box: { ...at, ...estimatedSize(card, undefined, false) },
      collapsed: false,
    });
  }
  return standing;
}

/** The selection after changes of the library's, which tells of nodes and edges apart. */
export function selected(
  document: Document,
  changes: readonly { readonly type: string; readonly id?: string; readonly selected?: boolean }[],
): ReadonlySet<string> | null {
  const picked = changes.filter((change) => change.type === "select");
  if (picked.length === 0) return null;
  const found = new Set(document.selection);
  for (const { id = "", selected: isIn } of picked) {
    if (isIn) found.add(id);
    else found.delete(id);
  }
  return found;
}
