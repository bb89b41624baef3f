/** Undo, the clipboard, selecting, and what is done to selected nodes. */
import {
  BookmarkPlus,
  Clipboard,
  Copy,
  CopyPlus,
  Redo2,
  Replace,
  Scissors,
  Trash2,
  Undo2,
} from "lucide-react";
import { openTypes } from "@/components/panels/problems/mending";
import { t } from "@/i18n";
import {
  addGroup,
  duplicate,
  removeItems,
  renameNode,
  setAlways,
  setCollapsed,
  setMode,
} from "@/model/edits";
import { downstream, edgesOf, upstream } from "@/model/graph";
import { canRedo, canUndo } from "@/model/history";
import { edgeItem, groupItem, noteItem } from "@/model/items";
import { type Box, layoutOf } from "@/model/layout";
import { nodesOf } from "@/model/scope";
import { makeSubgraph, unpackSubgraph } from "@/model/subgraphs";
import { isNodeName, type Mode } from "@/model/workflow";
import { activeDocument, useDocuments } from "@/store/documents";
import { askText, useUi } from "@/store/ui";
import { copySelected, cutSelected, followClipboard, pasteFromMenu } from "./clipboard";
import type { Command } from "./registry";
import { change, nodeTypes, selected } from "./selection";

followClipboard();

const inGraph = (): boolean => useUi.getState().view === "graph";
const hasItems = (): boolean => inGraph() && activeDocument().selection.size > 0;
const hasNodes = (): boolean => inGraph() && selected().nodes.length > 0;

function remove(context: unknown, reconnect: boolean): void {
  const { items } = selected(context);
  change("editing.deleted", (workflow, scope) => ({
    workflow: removeItems(workflow, scope, items, { reconnect, types: nodeTypes() }),
  }));
}

function duplicateItems(context: unknown, withLinks: boolean): void {
  const { items } = selected(context);
  change("editing.duplicated", (workflow, scope) =>
    duplicate(workflow, scope, items, { withLinks }),
  );
}

/** All nodes, groups and notes of the graph that is shown. */
function everything(): readonly string[] {
  const { workflow, scope } = selected();
  const layout = layoutOf(workflow, scope);
  return [
    ...nodesOf(workflow, scope).keys(),
    ...layout.groups.map((group) => groupItem(group.id)),
    ...layout.notes.map((note) => noteItem(note.id)),
  ];
}

function select(items: Iterable<string>): void {
  useDocuments.getState().select(items);
}

function selectInverse(): void {
  const { selection } = activeDocument();
  select(everything().filter((id) => !selection.has(id)));
}

function selectReach(reach: typeof upstream): void {
  const { workflow, scope, nodes } = selected();
  const found = reach(nodesOf(workflow, scope), nodes);
  const edges = edgesOf(nodesOf(workflow, scope))
    .filter(({ from, to }) => found.has(from.node) && found.has(to.node))
    .map(({ id }) => edgeItem(id));
  select([...found, ...edges]);
}

function allHaveMode(mode: Mode): boolean {
  const { workflow, scope, nodes } = selected();
  const there = nodesOf(workflow, scope);
  return nodes.length > 0 && nodes.every((name) => there.get(name)?.mode === mode);
}

/** Nodes that all have the mode run again; else all get it. */
function toggleMode(context: unknown, mode: Mode): void {
  const { workflow, scope: shown, nodes } = selected(context);
  const there = nodesOf(workflow, shown);
  const next = nodes.every((name) => there.get(name)?.mode === mode) ? null : mode;
  change(mode === "mute" ? "editing.muted" : "editing.bypassed", (w, scope) => ({
    workflow: setMode(w, scope, nodes, next),
  }));
}

function areAlways(context?: unknown): boolean {
  const { workflow, scope, nodes } = selected(context);
  const there = nodesOf(workflow, scope);
  return nodes.length > 0 && nodes.every((name) => there.get(name)?.always === true);
}

function areCollapsed(context?: unknown): boolean {
  const { workflow, scope, nodes } = selected(context);
  const { collapsed } = layoutOf(workflow, scope);
  return nodes.length > 0 && nodes.every((name) => collapsed.has(name));
}

function groupItems(context: unknown): void {
  const { items } = selected(context);
  change("editing.grouped", (workflow, scope) => {
    const box = boxAround(items);
    if (!box) return { workflow };
    const made = addGroup(workflow, scope, { title: t("editing.newGroup"), box });
    return { workflow: made.workflow, items: [groupItem(made.id)] };
  });
}

const USUAL = { width: 260, height: 200 };
const ROOM = { side: 24, top: 56 };

function boxAround(items: readonly string[]): Box | null {
  const { workflow, scope } = selected();
  const layout = layoutOf(workflow, scope);
  const boxes = items.flatMap((id): readonly Box[] => {
    const at = layout.positions.get(id);
    if (at) return [{ ...at, ...USUAL, ...measured(id), ...layout.sizes.get(id) }];
    const note = layout.notes.find((item) => noteItem(item.id) === id);
    const group = layout.groups.find((item) => groupItem(item.id) === id);
    return note ? [note.box] : group ? [group.box] : [];
  });
  if (boxes.length === 0) return null;
  const x = Math.min(...boxes.map((box) => box.x)) - ROOM.side;
  const y = Math.min(...boxes.map((box) => box.y)) - ROOM.top;
  const right = Math.max(...boxes.map((box) => box.x + box.width)) + ROOM.side;
  const bottom = Math.max(...boxes.map((box) => box.y + box.height)) + ROOM.side;
  return { x, y, width: right - x, height: bottom - y };
}

/** A node's size on the screen, where it is drawn. */
function measured(name: string): { width: number; height: number } | null {
  const card = document.querySelector(`.react-flow__node[data-id="${CSS.escape(name)}"]`);
  if (!(card instanceof HTMLElement) || card.offsetWidth === 0) return null;
  return { width: card.offsetWidth, height: card.offsetHeight };
}

async function makeBlock(context: unknown): Promise<void> {
  const { items } = selected(context);
  const name = await askText({
    title: t("editing.blockTitle"),
    confirm: t("editing.make"),
    text: { label: t("editing.blockName"), value: t("editing.newBlock") },
  });
  if (name === null) return;
  change("editing.madeSubgraph", (workflow, scope) => {
    const made = makeSubgraph(workflow, scope, items, name, nodeTypes());
    return { workflow: made.workflow, items: [made.node] };
  });
}

function isBlock(context?: unknown): boolean {
  const { workflow, scope, nodes } = selected(context);
  const type = nodes.length === 1 ? nodesOf(workflow, scope).get(nodes[0] ?? "")?.type : undefined;
  return type !== undefined && workflow.subgraphs.has(type);
}

function unpack(context: unknown): void {
  const [node] = selected(context).nodes;
  if (node === undefined) return;
  change("editing.unpacked", (workflow, scope) =>
    unpackSubgraph(workflow, scope, node, nodeTypes()),
  );
}

async function rename(context: unknown): Promise<void> {
  const { workflow, scope, nodes } = selected(context);
  const [from] = nodes;
  if (from === undefined) return;
  const there = nodesOf(workflow, scope);
  const to = await askText({
    title: t("editing.renameTitle"),
    confirm: t("editing.rename"),
    text: {
      label: t("editing.name"),
      value: from,
      check: (name) => {
        if (!isNodeName(name)) return t("editing.nameBad");
        return name !== from && there.has(name) ? t("editing.nameTaken") : null;
      },
    },
  });
  if (to === null) return;
  change("editing.renamed", (w, shown) => ({
    workflow: renameNode(w, shown, from, to),
    items: [to],
  }));
}

export const commands: readonly Command[] = [
  {
    id: "edit.undo",
    label: "editing.undo",
    group: "edit",
    keys: ["mod+z"],
    icon: Undo2,
    repeats: true,
    when: () => canUndo(activeDocument().history),
    run: () => useDocuments.getState().undo(),
  },
  {
    id: "edit.redo",
    label: "editing.redo",
    group: "edit",
    keys: ["mod+shift+z", "mod+y"],
    icon: Redo2,
    repeats: true,
    when: () => canRedo(activeDocument().history),
    run: () => useDocuments.getState().redo(),
  },
  {
    id: "edit.cut",
    label: "editing.cut",
    group: "edit",
    keys: ["mod+x"],
    native: true,
    icon: Scissors,
    when: hasItems,
    run: cutSelected,
  },
  {
    id: "edit.copy",
    label: "editing.copy",
    group: "edit",
    keys: ["mod+c"],
    native: true,
    icon: Copy,
    when: hasItems,
    run: async (context) => {
      await copySelected(context);
    },
  },
  {
    id: "edit.paste",
    label: "editing.paste",
    group: "edit",
    keys: ["mod+v"],
    native: true,
    icon: Clipboard,
    when: inGraph,
    run: () => pasteFromMenu(false),
  },
  {
    id: "edit.pasteLinked",
    label: "editing.pasteLinked",
    group: "edit",
    keys: ["mod+shift+v"],
    native: true,
    when: inGraph,
    run: () => pasteFromMenu(true),
  },
  {
    id: "edit.duplicate",
    label: "editing.duplicate",
    group: "edit",
    keys: ["mod+d"],
    icon: CopyPlus,
    when: hasItems,
    run: (context) => duplicateItems(context, true),
  },
  {
    id: "edit.duplicateAlone",
    label: "editing.duplicateAlone",
    group: "edit",
    keys: ["mod+shift+d"],
    when: hasItems,
    run: (context) => duplicateItems(context, false),
  },
  {
    id: "edit.delete",
    label: "editing.delete",
    group: "edit",
    keys: ["delete", "backspace"],
    icon: Trash2,
    danger: true,
    when: hasItems,
    run: (context) => remove(context, false),
  },
  {
    id: "edit.deleteReconnect",
    label: "editing.deleteReconnect",
    group: "edit",
    keys: ["shift+delete", "shift+backspace"],
    danger: true,
    when: hasNodes,
    run: (context) => remove(context, true),
  },
  {
    id: "select.all",
    label: "editing.selectAll",
    group: "select",
    keys: ["mod+a"],
    when: inGraph,
    run: () => select(everything()),
  },
  {
    id: "select.none",
    label: "editing.selectNone",
    group: "select",
    keys: ["mod+alt+a"],
    when: hasItems,
    run: () => select([]),
  },
  {
    id: "select.invert",
    label: "editing.selectInvert",
    group: "select",
    keys: ["mod+i"],
    when: inGraph,
    run: selectInverse,
  },
  {
    id: "select.upstream",
    label: "editing.selectUpstream",
    group: "select",
    keys: ["["],
    when: hasNodes,
    run: () => selectReach(upstream),
  },
  {
    id: "select.downstream",
    label: "editing.selectDownstream",
    group: "select",
    keys: ["]"],
    when: hasNodes,
    run: () => selectReach(downstream),
  },
  {
    id: "nodes.rename",
    label: "editing.rename",
    group: "nodes",
    keys: ["f2"],
    when: () => inGraph() && selected().nodes.length === 1,
    run: rename,
  },
  {
    id: "nodes.replace",
    label: "editing.replace",
    group: "nodes",
    keys: ["shift+f2"],
    icon: Replace,
    when: () => inGraph() && selected().nodes.length === 1,
    run: (context) => {
      const [node] = selected(context).nodes;
      if (node !== undefined) openTypes(node);
    },
  },
  {
    id: "nodes.presets",
    label: "editing.presets",
    group: "nodes",
    icon: BookmarkPlus,
    when: () => inGraph() && selected().nodes.length === 1,
    run: (context) => {
      const [node] = selected(context).nodes;
      if (node !== undefined) useUi.getState().openDialog("nodePresets", { node });
    },
  },
  {
    id: "nodes.mute",
    label: "editing.mute",
    group: "nodes",
    keys: ["mod+m", "m"],
    when: hasNodes,
    checked: () => allHaveMode("mute"),
    run: (context) => toggleMode(context, "mute"),
  },
  {
    id: "nodes.bypass",
    label: "editing.bypass",
    group: "nodes",
    keys: ["mod+b", "b"],
    when: hasNodes,
    checked: () => allHaveMode("bypass"),
    run: (context) => toggleMode(context, "bypass"),
  },
  {
    id: "nodes.always",
    label: "editing.always",
    group: "nodes",
    when: hasNodes,
    checked: areAlways,
    run: (context) => {
      const next = !areAlways(context);
      const { nodes } = selected(context);
      change("editing.alwaysChanged", (workflow, scope) => ({
        workflow: setAlways(workflow, scope, nodes, next),
      }));
    },
  },
  {
    id: "nodes.collapse",
    label: "editing.collapse",
    group: "nodes",
    keys: ["c"],
    when: hasNodes,
    checked: areCollapsed,
    run: (context) => {
      const next = !areCollapsed(context);
      const { nodes } = selected(context);
      change("editing.collapsed", (workflow, scope) => ({
        workflow: setCollapsed(workflow, scope, nodes, next),
      }));
    },
  },
  {
    id: "nodes.group",
    label: "editing.group",
    group: "nodes",
    keys: ["mod+g"],
    when: hasItems,
    run: groupItems,
  },
  {
    id: "nodes.makeSubgraph",
    label: "editing.makeSubgraph",
    group: "nodes",
    keys: ["mod+shift+g"],
    when: hasNodes,
    run: makeBlock,
  },
  {
    id: "nodes.unpackSubgraph",
    label: "editing.unpackSubgraph",
    group: "nodes",
    keys: ["mod+shift+u"],
    when: () => inGraph() && isBlock(),
    run: unpack,
  },
];
