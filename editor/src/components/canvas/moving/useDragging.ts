/** Dragging cards: everything stays local until the drop, which is one undo step. */
import type { NodeChange } from "@xyflow/react";
import { useEffect, useMemo, useRef } from "react";
import type { CanvasNode, Scene } from "@/components/canvas/adapt";
import type { Local } from "@/components/canvas/assemble";
import { canvasPoint, itemBoxes } from "@/components/canvas/controller";
import { edit } from "@/components/canvas/edit";
import { centerOf, setDraggedPoints } from "@/components/canvas/links/points";
import { isLoose, spliced } from "@/components/canvas/links/splice";
import { aimNode, endAim, type Splice } from "@/components/canvas/links/splicing";
import { withRoom } from "@/components/canvas/placing/makeRoom";
import { settle } from "@/components/canvas/placing/settle";
import { keepingSeen } from "@/components/canvas/placing/staySeen";
import { movedAndRouted } from "@/components/canvas/routes/drawnRoutes";
import { moveItems } from "@/model/edits";
import { itemOf } from "@/model/items";
import type { Point } from "@/model/layout";
import { activeDocument, currentWorkflow, useDocuments } from "@/store/documents";
import { point } from "@/store/pointers";
import { useSettings } from "@/store/settings";
import { type Copies, makeCopies, ofCopies } from "./copies";
import { followers, shifted } from "./follow";
import { leadOf, withLead } from "./lead";

interface Drag {
  readonly starts: ReadonlyMap<string, Point>;
  readonly followers: ReadonlyMap<string, Point>;
  /** Of items that are copied by dragging: what moves in their place. */
  readonly copies: Copies | null;
  /** A lone card that a link may take in. */
  readonly loose: string | null;
  /** How far the pointer had gone before. */
  readonly lead: Point;
}

type SetLocal = (next: (local: Local) => Local) => void;

export function useDragging(
  scene: () => Scene,
  moves: () => ReadonlyMap<string, Point>,
  setLocal: SetLocal,
  change: (changes: readonly NodeChange<CanvasNode>[]) => void,
) {
  const drag = useRef<Drag | null>(null);
  const pressed = useRef<Point | null>(null);
  useEffect(() => {
    const note = ({ clientX, clientY }: PointerEvent) => {
      pressed.current = { x: clientX, y: clientY };
    };
    window.addEventListener("pointerdown", note, true);
    return () => window.removeEventListener("pointerdown", note, true);
  }, []);
  return useMemo(() => {
    /** The changes with those of what follows. */
    const along = (changes: readonly NodeChange<CanvasNode>[]) => {
      if (drag.current === null) return changes;
      const { copies, lead } = drag.current;
      const all = withFollowers(drag.current, withLead(changes, lead));
      const found = copies ? ofCopies(copies, all) : all;
      const moved = placesOf(found);
      setDraggedPoints(moved);
      // Others see it move.
      if (moved.size > 0) point(useDocuments.getState().active, { moves: moved });
      return found;
    };
    return {
      along,
      start: (
        event: { readonly altKey?: boolean },
        node: CanvasNode,
        nodes: readonly CanvasNode[],
      ) => {
        const lead = leadOf(pressed.current, event, canvasPoint, grid());
        const dragged = nodes.length > 0 ? nodes : [node];
        drag.current = { ...begun(scene(), dragged, event.altKey === true), lead };
        // The library moves nothing before the next event, which also brings items to the grid.
        const { starts } = drag.current;
        if (grid() === null && (lead.x !== 0 || lead.y !== 0))
          change(along([...starts].map(([id, { x, y }]) => movedTo(id, { x, y }))));
      },
      move: (_event: unknown, node: CanvasNode) => {
        if (drag.current?.loose !== node.id) return;
        const box = itemBoxes().get(node.id);
        const { x, y } = node.position;
        const { lead } = drag.current;
        if (box) aimNode(scene(), node.id, { ...box, x: x + lead.x, y: y + lead.y });
      },
      stop: () => {
        if (drag.current === null) return;
        const { copies, loose } = drag.current;
        const splice = endAim();
        drag.current = null;
        if (copies) settleMoves(scene(), moves());
        else if (loose !== null && splice) writeSplice(scene(), moves(), loose, splice);
        else writeMoves(scene(), moves());
        setLocal((local) => ({ ...local, moves: new Map() }));
        setDraggedPoints(new Map());
        point(useDocuments.getState().active, { moves: new Map() });
      },
    };
  }, [scene, moves, setLocal, change]);
}

function movedTo(id: string, position: Point): NodeChange<CanvasNode> {
  return { id, type: "position", position, dragging: true };
}

/** The grid that cards lie on; null for none. */
function grid(): number | null {
  const { snap, gridSize } = useSettings.getState();
  return snap ? gridSize : null;
}

function begun(
  scene: Scene,
  dragged: readonly CanvasNode[],
  isCopying: boolean,
): Omit<Drag, "lead"> {
  const { workflow, scope } = scene;
  const boxes = itemBoxes();
  const ids = dragged.map(({ id }) => id);
  const along = followers(workflow, scope, ids, boxes);
  const [only, ...others] = ids;
  const isLone = only !== undefined && others.length === 0 && along.size === 0;
  return {
    starts: new Map(dragged.map((each) => [each.id, boxes.get(each.id) ?? each.position])),
    followers: new Map(
      [...along].flatMap((id) => {
        const box = boxes.get(id);
        return box ? [[id, { x: box.x, y: box.y }] as const] : [];
      }),
    ),
    copies: isCopying ? makeCopies([...ids, ...along]) : null,
    loose: isLone && !isCopying && isLoose(scene, only) ? only : null,
  };
}

function withFollowers(
  drag: Pick<Drag, "starts" | "followers">,
  changes: readonly NodeChange<CanvasNode>[],
): readonly NodeChange<CanvasNode>[] {
  for (const change of changes) {
    if (change.type !== "position" || !change.position) continue;
    const from = drag.starts.get(change.id);
    if (!from) continue;
    const by = { x: change.position.x - from.x, y: change.position.y - from.y };
    const moved = [...shifted(drag.followers, by)].map(([id, at]) => movedTo(id, { ...at }));
    return [...changes, ...moved];
  }
  return changes;
}

function placesOf(changes: readonly NodeChange<CanvasNode>[]): ReadonlyMap<string, Point> {
  return new Map(
    changes.flatMap((change) =>
      change.type === "position" && change.position ? [[change.id, change.position] as const] : [],
    ),
  );
}

function places(moves: ReadonlyMap<string, Point>): ReadonlyMap<string, Point> {
  return new Map(
    [...moves].map(([id, at]) => [id, itemOf(id).kind === "reroute" ? centerOf(at) : at]),
  );
}

/** Write where things were dropped. */
function writeMoves({ scope }: Scene, moves: ReadonlyMap<string, Point>): void {
  if (moves.size === 0) return;
  useDocuments
    .getState()
    .change("canvas.edit.move", (w) => movedAndRouted(w, scope, places(moves)));
}

/** The same for copies, which were an undo step when they were made. */
function settleMoves({ scope }: Scene, moves: ReadonlyMap<string, Point>): void {
  const document = activeDocument();
  const workflow = currentWorkflow(document);
  settle(document.id, workflow, moveItems(workflow, scope, places(moves)));
}

/** The same for a card that a link takes in. */
function writeSplice(
  scene: Scene,
  moves: ReadonlyMap<string, Point>,
  node: string,
  { edge, before }: Splice,
): void {
  const { scope } = scene;
  const keepSeen = keepingSeen();
  edit("canvas.edit.splice", (w) => {
    const workflow = movedAndRouted(w, scope, places(moves));
    const taken = spliced({ ...scene, workflow }, edge, node, before);
    return taken === null ? workflow : withRoom(taken, scene, node, edge);
  });
  keepSeen([node]);
}
