/** Panels and dialogs by name, each fetched when it is first shown. */
import {
  Activity,
  Boxes,
  CircleAlert,
  CircleHelp,
  GitBranch,
  Image,
  Images,
  type LucideIcon,
  MessageSquare,
  Package,
  Puzzle,
  SlidersHorizontal,
  SquarePen,
} from "lucide-react";
import type { ComponentType } from "react";
import { RESULT, type Side } from "@/store/ui";
import { latePart, lazyPart } from "./lazyPart";

export interface PanelInfo {
  readonly name: string;
  /** Where it is shown unless it is asked for elsewhere. */
  readonly side: Side;
  /** An i18n key. */
  readonly label: string;
  readonly icon: LucideIcon;
  readonly component: ComponentType;
}

/** The panels that packs bring: there is nothing of it as long as none does. */
export const PACKS = "packs";

type Loaded = Promise<{ default: ComponentType }>;

function panel(name: string, side: Side, icon: LucideIcon, load: () => Loaded): PanelInfo {
  return { name, side, label: `shell.panel.${name}`, icon, component: latePart(load) };
}

export const PANELS: readonly PanelInfo[] = [
  panel("palette", "left", Boxes, () => import("@/components/panels/PalettePanel")),
  panel("models", "left", Package, () => import("@/components/panels/ModelsPanel")),
  panel("history", "left", GitBranch, () => import("@/components/panels/HistoryPanel")),
  panel(
    "inspector",
    "right",
    SlidersHorizontal,
    () => import("@/components/panels/InspectorPanel"),
  ),
  panel("parameters", "right", SquarePen, () => import("@/components/parameters/ParametersPanel")),
  panel("help", "right", CircleHelp, () => import("@/components/panels/HelpPanel")),
  panel("comments", "right", MessageSquare, () => import("@/components/together/CommentsPanel")),
  panel(PACKS, "right", Puzzle, () => import("@/components/panels/PackPanel")),
  panel(RESULT, "right", Image, () => import("@/components/panels/ResultPanel")),
  panel("queue", "bottom", Activity, () => import("@/components/panels/QueuePanel")),
  panel("gallery", "bottom", Images, () => import("@/components/panels/GalleryPanel")),
  panel("problems", "bottom", CircleAlert, () => import("@/components/panels/ProblemsPanel")),
];

export function panelByName(name: string | null): PanelInfo | null {
  return PANELS.find((info) => info.name === name) ?? null;
}

/** What a side's tabs show: its own panels, and one that was asked for there. */
export function panelsOf(side: Side, shown: string | null): readonly PanelInfo[] {
  return PANELS.filter((info) => info.side === side || info.name === shown);
}

/** A dialog is opened by `openDialog(name, props)` and gets those props and `onClose`. */
type DialogComponent = ComponentType<Record<string, unknown>>;

function dialog(load: () => Promise<unknown>, part = latePart): DialogComponent {
  // Each dialog knows its own props; who opens it by name has to give them.
  return part(load as () => Promise<{ default: DialogComponent }>);
}

const loadSearchBox = () => import("@/components/search/SearchBox");

export const DIALOGS: Readonly<Record<string, DialogComponent>> = {
  open: dialog(() => import("@/components/files/OpenDialog")),
  saveAs: dialog(() => import("@/components/files/SaveAsDialog")),
  share: dialog(() => import("@/components/files/ShareDialog")),
  missing: dialog(() => import("@/components/files/MissingDialog")),
  packs: dialog(() => import("@/components/files/PacksDialog")),
  translated: dialog(() => import("@/components/files/TranslatedDialog")),
  mask: dialog(() => import("@/components/painting/mask/MaskDialog")),
  viewer: dialog(() => import("@/components/panels/Viewer")),
  failure: dialog(() => import("@/components/panels/FailureDialog")),
  nodePresets: dialog(() => import("@/components/panels/NodePresetsDialog")),
  livePlot: dialog(() => import("@/components/viewers/LivePlotDialog")),
  settings: dialog(() => import("./SettingsDialog")),
  shortcuts: dialog(() => import("./ShortcutsDialog")),
  search: dialog(loadSearchBox, lazyPart),
  sweep: dialog(() => import("@/components/sweeps/SweepDialog")),
  grid: dialog(() => import("@/components/sweeps/GridDialog")),
  compare: dialog(() => import("@/components/comparison/CompareDialog")),
  merge: dialog(() => import("@/components/comparison/MergeDialog")),
  organize: dialog(() => import("@/components/panels/gallery/OrganizeDialog")),
  rows: dialog(() => import("@/components/sweeps/RowsDialog")),
  sendTo: dialog(() => import("@/components/results/SendDialog")),
  getModels: dialog(() => import("@/components/generate/GetModelsDialog")),
  lacking: dialog(() => import("@/components/generate/LackingDialog")),
  problemHelp: dialog(() => import("@/components/problemhelp/ProblemHelp")),
  about: dialog(() => import("./AboutDialog")),
};

export const Canvas = lazyPart(() => import("@/components/canvas/Canvas"));
export const GeneratePage = latePart(() => import("@/components/generate/GeneratePage"));
export const PaintingView = latePart(() => import("@/components/painting/PaintingView"));
export const LessonHost = lazyPart(() => import("@/components/lessons/LessonHost"));
export const AppMode = latePart(() => import("@/components/appmode/AppMode"));
const loadSearch = () => import("@/components/panels/AddNodeSearch");
export const AddNodeSearch = lazyPart(loadSearch);

/** Fetch what is typed into before it is asked for: keys would be lost until it is there. */
export function fetchSearch(): void {
  for (const load of [loadSearch, loadSearchBox]) load().catch(() => undefined);
}
