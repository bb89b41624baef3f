/** Drawing links with the pointer: from port to port, onto a card or field, or into the empty. */
import type {
  Connection,
  Edge,
  FinalConnectionState,
  HandleType,
  OnConnectStart,
} from "@xyflow/react";
import { type SyntheticEvent, useMemo, useRef } from "react";
import type { CanvasEdge, Scene } from "@/components/canvas/adapt";
import { canvas, canvasPoint } from "@/components/canvas/controller";
import { edit } from "@/components/canvas/edit";
import { t } from "@/i18n";
import type { Target } from "@/model/links";
import { notify } from "@/store/notices";
import { useUi } from "@/store/ui";
import {
  endsOf,
  fitsFor,
  fittingPorts,
  judge,
  link,
  relink,
  type Start,
  startType,
  unlink,
} from "./connect";
import { beginLinking, endLinking } from "./linking";

type Ends = Pick<Connection, "source" | "sourceHandle" | "target" | "targetHandle">;

/** Make a link as one undo step, or say why it can't be. */
export function makeLink(scene: Scene, ends: Ends): boolean {
  const verdict = judge(scene, ends);
  if (!verdict.fits) {
    refuse(verdict.reason);
    return false;
  }
  edit("canvas.edit.link", (workflow) => link(workflow, scene, ends));
  return true;
}

export function refuse(reason: string): void {
  notify({
    kind: "warning",
    title: t("canvas.link.refused"),
    detail: reason,
    key: "link",
    lasts: 6000,
  });
}

export function removeLink(scene: Scene, edge: CanvasEdge): void {
  edit("canvas.edit.unlink", (workflow) => unlink(workflow, scene, edge));
}

function clientPoint(event: MouseEvent | TouchEvent): { x: number; y: number } {
  const at = "changedTouches" in event ? event.changedTouches[0] : event;
  return { x: at?.clientX ?? 0, y: at?.clientY ?? 0 };
}

/** The input or the node that lies under the pointer, if any. */
function underPointer(at: { x: number; y: number }): { node: string; port: string | null } | null {
  const element = document.elementFromPoint(at.x, at.y);
  const node = element?.closest<HTMLElement>("[data-node]")?.dataset.node;
  if (node === undefined) return null;
  return { node, port: element?.closest<HTMLElement>("[data-input]")?.dataset.input ?? null };
}

/**
 * A drag from the dot of an input that has a link takes the link along: it is as if its end had been
 * taken hold of, which lies below the dot.
 */
export function takeLink(event: SyntheticEvent<Element, MouseEvent | TouchEvent>): void {
  const { nativeEvent, target } = event;
  const handle =
    target instanceof Element ? target.closest<HTMLElement>(".react-flow__handle") : null;
  if (!handle?.classList.contains("target")) return;
  const { nodeid: node, handleid: port } = handle.dataset;
  const shown = canvas();
  const edge = shown?.edges().find((each) => each.target === node && each.targetHandle === port);
  const end = edge && endOf(shown?.element, edge.id);
  const at = "touches" in nativeEvent ? nativeEvent.touches[0] : nativeEvent;
  if (!end || !at || ("button" in nativeEvent && nativeEvent.button !== 0)) return;
  event.stopPropagation();
  const { clientX, clientY } = at;
  end.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, clientX, clientY }));
}

/** Where the library lets one take hold of a link at its input. */
function endOf(frame: HTMLElement | undefined, edge: string): Element | null {
  const line = `.react-flow__edge[data-id="${CSS.escape(edge)}"]`;
  return frame?.querySelector(`${line} .react-flow__edgeupdater-target`) ?? null;
}

export function useLinkDrawing(scene: () => Scene) {
  const start = useRef<Start | null>(null);
  const moved = useRef<{ readonly edge: CanvasEdge; done: boolean } | null>(null);
  return useMemo(() => {
    const begin: OnConnectStart = (_, { nodeId, handleId, handleType }) => {
      if (nodeId === null || handleType === null) return;
      start.current = startOf(nodeId, handleId, handleType);
      beginLinking(start.current, fitsFor(scene(), start.current));
    };

    const drop = (at: { x: number; y: number }, from: Start): void => {
      const under = underPointer(at);
      if (under === null || under.node === from.node) {
        openSearch(at, from);
        return;
      }
      const target = portFor(scene(), from, under);
      if (target === null) refuse(t("canvas.link.noPort", { node: under.node }));
      else makeLink(scene(), endsOf(from, target));
    };

    const openSearch = (at: { x: number; y: number }, from: Start): void => {
      if (!isEmpty(at)) return;
      const type = startType(scene(), from);
      const loose = { type, side: from.side, from: { node: from.node, port: from.port } };
      useUi.getState().openAddNode({ screen: at, at: canvasPoint(at), fits: loose });
    };

    const end = (event: MouseEvent | TouchEvent, state: FinalConnectionState): void => {
      const from = start.current;
      start.current = null;
      endLinking();
      if (from === null || state.isValid || moved.current) return;
      const { toHandle, toNode } = state;
      if (toHandle && toNode && toNode.id !== from.node) {
        const verdict = judge(scene(), endsOf(from, { node: toNode.id, port: toHandle.id ?? "" }));
        if (!verdict.fits) refuse(verdict.reason);
        return;
      }
      drop(clientPoint(event), from);
    };

    return {
      onConnectStart: begin,
      onConnectEnd: end,
      onConnect: (connection: Connection) => {
        makeLink(scene(), connection);
      },
      isValidConnection: (ends: Connection | Edge) =>
        judge(scene(), {
          source: ends.source,
          sourceHandle: ends.sourceHandle ?? null,
          target: ends.target,
          targetHandle: ends.targetHandle ?? null,
        }).fits,
      onReconnectStart: (_: unknown, edge: CanvasEdge) => {
        moved.current = { edge, done: false };
      },
      onReconnect: (edge: CanvasEdge, ends: Connection) => {
        if (moved.current) moved.current.done = true;
        edit("canvas.edit.relink", (w) => relink(w, scene(), edge, ends));
      },
      onReconnectEnd: (
        event: MouseEvent | TouchEvent,
        edge: CanvasEdge,
        type: HandleType,
        state: FinalConnectionState,
      ) => {
        const isDone = moved.current?.done === true;
        moved.current = null;
        endLinking();
        if (isDone) return;
        if (state.toHandle && state.toNode) return refuse(t("canvas.link.kept"));
        const under = underPointer(clientPoint(event));
        if (under === null) {
          if (isEmpty(clientPoint(event))) removeLink(scene(), edge);
          return;
        }
        // Dropped on a card, it goes to the port there that fits.
        const from = fixedEnd(edge, type);
        const target = under.node === from.node ? null : portFor(scene(), from, under);
        const ends = target && endsOf(from, target);
        if (ends === null || !judge(scene(), ends).fits) return refuse(t("canvas.link.kept"));
        edit("canvas.edit.relink", (w) => relink(w, scene(), edge, ends));
      },
    };
  }, [scene]);
}

/** Whether a place of the window is canvas with nothing on it but links. */
function isEmpty(at: { x: number; y: number }): boolean {
  const element = document.elementFromPoint(at.x, at.y);
  return Boolean(element?.closest(".react-flow__pane, .react-flow__edges"));
}

/** The end of a link that stays while the other one is moved. */
function fixedEnd(edge: CanvasEdge, type: HandleType): Start {
  return type === "source"
    ? startOf(edge.source, edge.sourceHandle ?? "", type)
    : startOf(edge.target, edge.targetHandle ?? "", type);
}

function startOf(node: string, port: string | null, type: HandleType): Start {
  return { node, port: port ?? "", side: type === "source" ? "output" : "input" };
}

/** The port that a link dropped on a card goes to: the field under it, else the first that fits. */
function portFor(
  scene: Scene,
  from: Start,
  under: { node: string; port: string | null },
): Target | null {
  const { node, port } = under;
  if (port !== null && from.side === "output") return { node, port };
  const first = fittingPorts(scene, from, node)[0];
  return first === undefined ? null : { node, port: first };
}
