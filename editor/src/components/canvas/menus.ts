/** What the context menus of the canvas hold. */
import { Layers, Plus, Spline, Trash2, WandSparkles, Wrench } from "lucide-react";
import { selectedPicture } from "@/commands/results";
import { mendsOfNode } from "@/components/panels/problems/mending";
import { resultItems } from "@/components/results/resultItems";
import { commandItems, type MenuEntry } from "@/components/ui";
import { fieldMenu } from "@/components/widgets/fieldMenu";
import { inputLabel } from "@/components/widgets/inputLabel";
import { t } from "@/i18n";
import { removeReroute, setColor } from "@/model/edits";
import { type Item, itemOf } from "@/model/items";
import type { Point } from "@/model/layout";
import { activeDocument } from "@/store/documents";
import { useUi } from "@/store/ui";
import type { Scene } from "./adapt";
import { canvas } from "./controller";
import { edit } from "./edit";
import { blockOfNode, enterBlock } from "./enter";
import { COLORS, tintOf } from "./frames/colors";
import { addPoint } from "./links/reroutes";
import { removeLink } from "./links/useLinkDrawing";

export interface MenuPlace {
  /** In the window. */
  readonly at: Point;
  /** On the canvas. */
  readonly point: Point;
  /** What was clicked; null for the empty canvas. */
  readonly item: string | null;
  /** The input whose port was clicked, if any. */
  readonly input: string | null;
}

export function itemsFor(place: MenuPlace, scene: Scene): readonly MenuEntry[] {
  if (place.item === null) return canvasItems(place);
  const item = itemOf(place.item);
  if (item.kind === "edge") return edgeItems(place, place.item, scene);
  if (item.kind === "endLink") return endEdgeItems(place.item, scene);
  if (item.kind === "reroute") return rerouteItems(item);
  return [...inputItems(place), ...cardItems(item, scene)];
}

/** Of a port that may be a field: what the field's own menu has. */
function inputItems({ item, input }: MenuPlace): readonly MenuEntry[] {
  if (item === null || input === null) return [];
  const node = canvas()
    ?.nodes()
    .find(({ id }) => id === item);
  const specs = node?.type === "card" ? node.data.card.spec?.inputs : undefined;
  const spec = specs?.find(({ name }) => name === input);
  if (!spec) return [];
  return [
    { heading: inputLabel(spec) },
    ...fieldMenu({ node: item, port: input }, spec),
    "separator",
  ];
}

function canvasItems({ at, point }: MenuPlace): readonly MenuEntry[] {
  return [
    {
      label: t("canvas.menu.add"),
      icon: Plus,
      keys: "space",
      run: () => useUi.getState().openAddNode({ screen: at, at: point }),
    },
    ...commandItems(["canvas.addNote", "-", "edit.paste", "select.all", "-"], point),
    ...commandItems(["view.fit", "arrange.auto", "-", "edit.undo", "edit.redo"]),
  ];
}

function viewItems(id: string): readonly MenuEntry[] {
  return commandItems(["view.value"], id);
}

function edgeItems({ point }: MenuPlace, id: string, scene: Scene): readonly MenuEntry[] {
  const edge = canvas()
    ?.edges()
    .find((each) => each.id === id);
  if (!edge) return [];
  return [
    ...viewItems(id),
    {
      label: t("canvas.menu.reroute"),
      icon: Spline,
      run: () => addPoint(edge, scene.scope, point),
    },
    "separator",
    {
      label: t("canvas.menu.unlink"),
      icon: Trash2,
      danger: true,
      run: () => removeLink(scene, edge),
    },
  ];
}

function endEdgeItems(id: string, scene: Scene): readonly MenuEntry[] {
  const edge = canvas()
    ?.edges()
    .find((each) => each.id === id);
  if (!edge) return [];
  return [
    {
      label: t("canvas.menu.unlink"),
      icon: Trash2,
      danger: true,
      run: () => removeLink(scene, edge),
    },
  ];
}

function rerouteItems(item: Extract<Item, { kind: "reroute" }>): readonly MenuEntry[] {
  const remove = () =>
    edit("canvas.edit.removeReroute", (workflow, scope) =>
      removeReroute(workflow, scope, item.edge, item.index),
    );
  return [{ label: t("canvas.menu.removeReroute"), icon: Trash2, danger: true, run: remove }];
}

function cardItems(item: Item, { workflow, scope }: Scene): readonly MenuEntry[] {
  const isNode = item.kind === "node";
  const block = isNode ? blockOfNode(workflow, scope, item.name) : null;
  const enter: readonly MenuEntry[] =
    isNode && block !== null
      ? [
          {
            label: t("canvas.menu.enter", { block }),
            icon: Layers,
            run: () => void enterBlock(item.name),
          },
        ]
      : [];
  const single = activeDocument().selection.size <= 1;
  return [
    ...(isNode ? mendItems(item.name) : []),
    ...enter,
    ...commandItems(isNode ? ["run-to-here"] : []),
    ...(isNode ? [...viewItems(item.name), ...pictureItems(), "separator" as const] : []),
    ...commandItems(
      single && isNode ? ["nodes.link", "nodes.rename", "nodes.replace", "nodes.presets"] : [],
    ),
    ...(item.kind === "end" ? [] : [colorItems()]),
    ...commandItems(
      isNode ? ["nodes.collapse", "nodes.mute", "nodes.bypass", "nodes.always", "-"] : ["-"],
    ),
    ...commandItems(["nodes.group", "nodes.makeSubgraph", "nodes.unpackSubgraph", "-"]),
    ...(single ? [] : [arrangeItems(), "separator" as const]),
    ...commandItems(["edit.copy", "edit.duplicate", "-", "panels.help", "view.fitSelection", "-"]),
    ...commandItems(["edit.delete", "edit.deleteReconnect"]),
  ];
}

/** What mends the problems of a node. */
function mendItems(node: string): readonly MenuEntry[] {
  const mends = mendsOfNode(node);
  if (mends.length === 0) return [];
  return [
    { heading: t("panels.command.mend") },
    ...mends.map(({ label, run }) => ({ label, icon: Wrench, run })),
    "separator",
  ];
}

/** What can be done with the picture of the selected node. */
function pictureItems(): readonly MenuEntry[] {
  const found = selectedPicture();
  if (found === null) return [];
  const items = resultItems(found.artifact, found);
  return [{ label: t("results.heading"), icon: WandSparkles, items }];
}

function colorItems(): MenuEntry {
  const paint = (color: string) => () => {
    const { selection } = activeDocument();
    edit("canvas.edit.color", (workflow, scope) => setColor(workflow, scope, selection, color));
  };
  return {
    label: t("canvas.menu.color"),
    items: [
      { label: t("canvas.color.none"), run: paint("") },
      ...COLORS.map((color) => ({
        label: t(`canvas.color.${color}`),
        swatch: tintOf(color),
        run: paint(color),
      })),
    ],
  };
}

function arrangeItems(): MenuEntry {
  return { label: t("canvas.menu.arrange"), items: commandItems(ARRANGING) };
}

export const ARRANGING = [
  "arrange.auto",
  "-",
  "arrange.left",
  "arrange.center",
  "arrange.right",
  "-",
  "arrange.top",
  "arrange.middle",
  "arrange.bottom",
  "-",
  "arrange.horizontal",
  "arrange.vertical",
];
