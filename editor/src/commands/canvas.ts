/** Seeing, moving and arranging what is on the canvas. */
import {
  AlignCenterHorizontal,
  AlignCenterVertical,
  AlignEndHorizontal,
  AlignEndVertical,
  AlignHorizontalDistributeCenter,
  AlignStartHorizontal,
  AlignStartVertical,
  AlignVerticalDistributeCenter,
  Link2,
  type LucideIcon,
  Maximize,
  Plus,
  Scan,
  Spline,
  StickyNote,
  Workflow,
  ZoomIn,
  ZoomOut,
} from "lucide-react";
import {
  canvas,
  fitAll,
  fitItems,
  freePlace,
  itemBoxes,
  itemSizes,
  panBy,
  screenCenter,
  zoomBy,
  zoomTo,
} from "@/components/canvas/controller";
import { enterBlock } from "@/components/canvas/enter";
import { canvasHasFocus, focusedItem, focusItem } from "@/components/canvas/focus";
import { openLinkDialog } from "@/components/canvas/links/linkDialogState";
import { centerOf } from "@/components/canvas/links/points";
import { addPoint } from "@/components/canvas/links/reroutes";
import { nearest } from "@/components/canvas/placing/order";
import { movedAndRouted, routed } from "@/components/canvas/routes/drawnRoutes";
import { arrange } from "@/model/arrange";
import { addNote } from "@/model/edits";
import { align, distribute } from "@/model/inLine";
import { itemOf, noteItem } from "@/model/items";
import type { Box, Point } from "@/model/layout";
import { activeDocument, currentScope, useDocuments } from "@/store/documents";
import { setSetting, useSettings } from "@/store/settings";
import { useUi } from "@/store/ui";
import type { Command } from "./registry";
import { change, nodeTypes } from "./selection";

const isShown = (): boolean => useUi.getState().view === "graph" && canvas() !== null;
const hasSelection = (): boolean => isShown() && activeDocument().selection.size > 0;
/** Keys without a modifier: not while a panel has the focus. */
const isAtCanvas = (): boolean => isShown() && canvasHasFocus();

/** What is selected, with its boxes. */
function selectedBoxes(): ReadonlyMap<string, Box> {
  const { selection } = activeDocument();
  return new Map([...itemBoxes()].filter(([id]) => selection.has(id)));
}

function move(label: string, to: ReadonlyMap<string, Point>, merge?: string): void {
  const scope = currentScope(activeDocument());
  const places = new Map(
    [...to].map(([id, at]) => [id, itemOf(id).kind === "reroute" ? centerOf(at) : at]),
  );
  useDocuments.getState().change(label, (w) => movedAndRouted(w, scope, places), { merge });
}

/** Arrows move what is selected, or else the view. */
function nudge(dx: number, dy: number, large: boolean): void {
  const boxes = selectedBoxes();
  if (boxes.size === 0) {
    panBy(-dx * 60, -dy * 60);
    return;
  }
  const { gridSize, snap } = useSettings.getState();
  const step = (snap ? gridSize : 10) * (large ? 5 : 1);
  const to = [...boxes].map(
    ([id, { x, y }]) => [id, { x: x + dx * step, y: y + dy * step }] as const,
  );
  move("canvas.edit.move", new Map(to), "canvas.nudge");
}

const DIRECTIONS = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] } as const;

function arrowCommands(): readonly Command[] {
  return Object.entries(DIRECTIONS).flatMap(([name, [dx, dy]]): Command[] => [
    {
      id: `canvas.${name}`,
      label: `canvas.command.${name}`,
      group: "arrange",
      keys: [name],
      hidden: true,
      repeats: true,
      when: isAtCanvas,
      run: () => nudge(dx, dy, false),
    },
    {
      id: `canvas.${name}Far`,
      label: `canvas.command.${name}Far`,
      group: "arrange",
      keys: [`shift+${name}`],
      hidden: true,
      repeats: true,
      when: isAtCanvas,
      run: () => nudge(dx, dy, true),
    },
    {
      id: `canvas.${name}Card`,
      label: `canvas.command.${name}Card`,
      group: "select",
      keys: [`alt+${name}`],
      hidden: true,
      repeats: true,
      when: isAtCanvas,
      run: () => goTo(dx, dy),
    },
  ]);
}

/** The focus to the next card in a direction. */
function goTo(dx: number, dy: number): void {
  const from = focusedItem() ?? [...activeDocument().selection][0];
  const boxes = itemBoxes();
  const next = from === undefined ? [...boxes.keys()][0] : nearest(boxes, from, dx, dy);
  if (next) focusItem(next);
}

type AlignSide = Parameters<typeof align>[1];

function aligned(side: AlignSide, icon: LucideIcon): Command {
  return {
    id: `arrange.${side}`,
    label: `canvas.command.align.${side}`,
    group: "arrange",
    icon,
    when: () => hasSelection() && activeDocument().selection.size > 1,
    run: () => move("canvas.edit.align", align(selectedBoxes(), side)),
  };
}

function distributed(direction: Parameters<typeof distribute>[1], icon: LucideIcon): Command {
  return {
    id: `arrange.${direction}`,
    label: `canvas.command.distribute.${direction}`,
    group: "arrange",
    icon,
    when: () => hasSelection() && activeDocument().selection.size > 2,
    run: () => move("canvas.edit.distribute", distribute(selectedBoxes(), direction)),
  };
}

function arrangeAll(): void {
  const { selection } = activeDocument();
  const names = [...selection].filter((id) => itemOf(id).kind === "node");
  const some = names.length > 1 ? names : undefined;
  change("canvas.edit.arrange", (workflow, scope) => ({
    workflow: routed(arrange(workflow, scope, nodeTypes(), itemSizes(), some), scope),
  }));
  if (!some) requestAnimationFrame(() => fitAll());
}

function newNote(context: unknown): void {
  const at = isPoint(context) ? context : freePlace();
  const box = { x: Math.round(at.x), y: Math.round(at.y), width: 240, height: 120 };
  change("canvas.edit.addNote", (workflow, scope) => {
    const made = addNote(workflow, scope, { text: "", box });
    return { workflow: made.workflow, items: [noteItem(made.id)] };
  });
}

function isPoint(value: unknown): value is Point {
  return typeof value === "object" && value !== null && "x" in value && "y" in value;
}

/** The selected links that points can be put into. */
function selectedLinks() {
  const { selection } = activeDocument();
  const edges = canvas()?.edges() ?? [];
  return edges.filter(({ id }) => selection.has(id) && itemOf(id).kind === "edge");
}

/** The one selected card. */
function loneItem(): string | null {
  const items = [...activeDocument().selection].filter((id) =>
    ["node", "end"].includes(itemOf(id).kind),
  );
  return items.length === 1 ? (items[0] ?? null) : null;
}

export const commands: readonly Command[] = [
  {
    id: "nodes.add",
    label: "canvas.command.add",
    group: "nodes",
    keys: ["space"],
    icon: Plus,
    when: isAtCanvas,
    run: () => useUi.getState().openAddNode({ screen: screenCenter(), at: freePlace(loneItem()) }),
  },
  {
    id: "canvas.addNote",
    label: "canvas.command.addNote",
    group: "nodes",
    keys: ["n"],
    icon: StickyNote,
    when: isAtCanvas,
    run: newNote,
  },
  {
    id: "nodes.link",
    label: "canvas.command.link",
    group: "nodes",
    keys: ["l"],
    icon: Link2,
    when: () => isShown() && loneItem() !== null,
    run: () => {
      const item = loneItem();
      if (item !== null) openLinkDialog(item);
    },
  },
  {
    id: "links.addPoint",
    label: "canvas.edit.reroute",
    group: "nodes",
    icon: Spline,
    when: () => isShown() && selectedLinks().length > 0,
    run: () => {
      const scope = currentScope(activeDocument());
      for (const edge of selectedLinks()) addPoint(edge, scope);
    },
  },
  {
    id: "nodes.enter",
    label: "canvas.command.enter",
    group: "nodes",
    keys: ["shift+enter"],
    when: () => isAtCanvas() && loneItem() !== null,
    run: () => {
      const item = loneItem();
      if (item !== null) enterBlock(item);
    },
  },
  {
    id: "nodes.leave",
    label: "canvas.command.leave",
    group: "nodes",
    keys: ["shift+escape"],
    when: () => isShown() && activeDocument().path.length > 0,
    run: () => useDocuments.getState().leave(),
  },
  {
    id: "view.zoomIn",
    label: "canvas.view.zoomIn",
    group: "view",
    keys: ["mod+=", "mod+plus", "="],
    icon: ZoomIn,
    repeats: true,
    when: isShown,
    run: () => zoomBy(1.25),
  },
  {
    id: "view.zoomOut",
    label: "canvas.view.zoomOut",
    group: "view",
    keys: ["mod+-", "-"],
    icon: ZoomOut,
    repeats: true,
    when: isShown,
    run: () => zoomBy(1 / 1.25),
  },
  {
    id: "view.actualSize",
    label: "canvas.command.actualSize",
    group: "view",
    keys: ["mod+0", "shift+0"],
    when: isShown,
    run: () => zoomTo(1),
  },
  {
    id: "view.fit",
    label: "canvas.view.fit",
    group: "view",
    keys: ["shift+1", "f"],
    icon: Maximize,
    when: isShown,
    run: () => fitAll(),
  },
  {
    id: "view.fitSelection",
    label: "canvas.command.fitSelection",
    group: "view",
    keys: ["shift+2", "."],
    icon: Scan,
    when: hasSelection,
    run: () => fitItems(activeDocument().selection),
  },
  {
    id: "view.minimap",
    label: "canvas.view.minimap",
    group: "view",
    keys: ["shift+m"],
    when: isShown,
    checked: () => useSettings.getState().minimap,
    run: () => setSetting("minimap", !useSettings.getState().minimap),
  },
  {
    id: "view.snap",
    label: "canvas.command.snap",
    group: "view",
    when: isShown,
    checked: () => useSettings.getState().snap,
    run: () => setSetting("snap", !useSettings.getState().snap),
  },
  {
    id: "arrange.auto",
    label: "canvas.command.arrange",
    group: "arrange",
    keys: ["shift+a"],
    icon: Workflow,
    when: isShown,
    run: arrangeAll,
  },
  aligned("left", AlignStartVertical),
  aligned("center", AlignCenterVertical),
  aligned("right", AlignEndVertical),
  aligned("top", AlignStartHorizontal),
  aligned("middle", AlignCenterHorizontal),
  aligned("bottom", AlignEndHorizontal),
  distributed("horizontal", AlignHorizontalDistributeCenter),
  distributed("vertical", AlignVerticalDistributeCenter),
  ...arrowCommands(),
];
