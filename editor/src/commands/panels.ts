/** Showing and hiding the panels, and walking through problems and results. */
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
  SkipBack,
  SkipForward,
  SlidersHorizontal,
  Wrench,
} from "lucide-react";
import { openMends } from "@/components/panels/problems/mending";
import { nodeNames } from "@/model/items";
import { nodeOf } from "@/model/scope";
import { askAbout } from "@/store/asked";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { loadResults } from "@/store/gallery";
import { placeOf } from "@/store/places";
import { activeProblems } from "@/store/problems";
import { RESULT, type Side, useUi } from "@/store/ui";
import type { Command } from "./registry";

function panel(name: string, side: Side, keys: readonly string[], icon: LucideIcon): Command {
  return {
    id: `panels.${name}`,
    label: `panels.command.${name}`,
    group: "panels",
    keys,
    icon,
    checked: () => useUi.getState().panel[side] === name,
    run: () => useUi.getState().togglePanel(side, name),
  };
}

/** Where the newest result is shown; null if it isn't. */
function sideOfResult(): Side | null {
  const { panel: shown } = useUi.getState();
  return (["right", "bottom"] as const).find((side) => shown[side] === RESULT) ?? null;
}

/** At the side at which it was before. */
function toggleResult(): void {
  const { panel: shown, hidePanel, showPanel } = useUi.getState();
  const side = sideOfResult();
  if (side === null) showPanel(shown.resultSide, RESULT);
  else hidePanel(side);
}

let lastShown = -1;

/** Go round the problems that have a place in the workflow. */
function goToProblem(step: 1 | -1): void {
  const { types } = useCatalogue.getState();
  const document = activeDocument();
  const workflow = currentWorkflow(document);
  const problems = activeProblems();
  askAbout(
    document.id,
    problems.map(({ finding }) => finding),
  );
  const places = problems.flatMap(({ finding: { node, port } }) => {
    const place = node ? placeOf(workflow, types, node) : null;
    return place === null ? [] : [{ ...place, port: port ?? null }];
  });
  if (places.length === 0) return;
  lastShown = (Math.max(lastShown, step > 0 ? -1 : 0) + step + places.length) % places.length;
  const place = places[lastShown];
  if (place) focusNode(place);
}

function hasProblems(): boolean {
  return activeProblems().some(({ finding }) => Boolean(finding.node));
}

/** Explain the selected node, or show all there are. */
function showHelp(): void {
  const document = activeDocument();
  const [name] = nodeNames(document.selection);
  const workflow = currentWorkflow(document);
  const entry = name === undefined ? null : nodeOf(workflow, currentScope(document), name);
  useUi.getState().showHelp(entry?.type ?? null);
}

async function showNewest(): Promise<void> {
  // The panel says why there are none.
  const items = await loadResults().catch(() => []);
  const [artifact] = items;
  if (artifact) useUi.getState().openDialog("viewer", { artifact, list: items });
  else useUi.getState().showPanel("bottom", "gallery");
}

export const commands: readonly Command[] = [
  panel("palette", "left", ["alt+a"], Boxes),
  panel("models", "left", ["alt+o"], Package),
  panel("history", "left", ["alt+h"], GitBranch),
  panel("inspector", "right", ["alt+i"], SlidersHorizontal),
  panel("queue", "bottom", ["alt+q"], Activity),
  {
    id: "panels.result",
    label: "panels.command.result",
    group: "panels",
    keys: ["alt+r"],
    icon: Image,
    checked: () => sideOfResult() !== null,
    run: toggleResult,
  },
  {
    id: "panels.dockResult",
    label: "panels.command.dockResult",
    group: "panels",
    when: () => sideOfResult() !== null,
    run: () => {
      const { showPanel } = useUi.getState();
      showPanel(sideOfResult() === "bottom" ? "right" : "bottom", RESULT);
    },
  },
  panel("comments", "right", ["alt+k"], MessageSquare),
  {
    ...panel("packs", "right", [], Puzzle),
    when: () => useCatalogue.getState().packPanels.length > 0,
  },
  panel("gallery", "bottom", ["alt+g"], Images),
  panel("problems", "bottom", ["alt+p"], CircleAlert),
  {
    id: "panels.help",
    label: "panels.command.help",
    group: "help",
    keys: ["alt+/"],
    icon: CircleHelp,
    run: showHelp,
  },
  {
    id: "panels.nextProblem",
    label: "panels.command.nextProblem",
    group: "view",
    keys: ["f8"],
    icon: SkipForward,
    repeats: true,
    when: hasProblems,
    run: () => goToProblem(1),
  },
  {
    id: "panels.previousProblem",
    label: "panels.command.previousProblem",
    group: "view",
    keys: ["shift+f8"],
    icon: SkipBack,
    repeats: true,
    when: hasProblems,
    run: () => goToProblem(-1),
  },
  {
    id: "panels.mend",
    label: "panels.command.mend",
    group: "nodes",
    keys: ["alt+f8"],
    icon: Wrench,
    when: hasProblems,
    run: openMends,
  },
  {
    id: "panels.newestResult",
    label: "panels.command.newestResult",
    group: "view",
    keys: ["alt+v"],
    icon: Images,
    run: showNewest,
  },
];
