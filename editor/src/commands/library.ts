/** Results that are marked in the gallery: stars, tags, boards and the trash; and runs by a table. */
import {
  Download,
  LayoutGrid,
  RotateCcw,
  SlidersHorizontal,
  SquareCheck,
  Star,
  StarOff,
  Table2,
  Tags,
  Trash2,
} from "lucide-react";
import { mayRun, useConnection } from "@/store/connection";
import { activeDocument, currentWorkflow } from "@/store/documents";
import { listedResults, markAllResults, markedResults, useGallery } from "@/store/gallery";
import { mark, restore, trash } from "@/store/library";
import { useUi } from "@/store/ui";
import type { Command } from "./registry";
import { selectedPicture } from "./results";

/** Fetched with the first of them that is used. */
const actions = () => import("@/components/panels/gallery/actions");

const mayMark = () => mayRun(useConnection.getState()) && useGallery.getState().marked.size > 0;
const mayMarkHere = () => mayMark() && !useGallery.getState().isTrash;
const mayMarkTrash = () => mayMark() && useGallery.getState().isTrash;

function stars(count: number): Command {
  return {
    id: `library.star${count}`,
    label: `library.command.star${count}`,
    group: "library",
    icon: count === 0 ? StarOff : Star,
    when: mayMarkHere,
    run: async () => {
      await mark(markedResults(), { stars: count });
    },
  };
}

/** Show the gallery, with all results or the trash in it. */
function lookInto(isTrash: boolean): void {
  useUi.getState().showPanel("bottom", "gallery");
  useGallery.getState().filter({ board: null, isTrash });
}

export const commands: readonly Command[] = [
  ...[0, 1, 2, 3, 4, 5].map(stars),
  {
    id: "library.organize",
    label: "library.command.organize",
    group: "library",
    icon: Tags,
    when: mayMarkHere,
    run: () => useUi.getState().openDialog("organize", { artifacts: markedResults() }),
  },
  {
    id: "library.newBoard",
    label: "library.command.newBoard",
    group: "library",
    icon: LayoutGrid,
    when: () => mayRun(useConnection.getState()),
    run: async () => (await actions()).askNewBoard(markedResults()),
  },
  {
    id: "library.selectAll",
    label: "library.command.selectAll",
    group: "library",
    icon: SquareCheck,
    when: () => listedResults().length > 0,
    run: () => {
      useUi.getState().showPanel("bottom", "gallery");
      return markAllResults();
    },
  },
  {
    id: "library.download",
    label: "library.command.download",
    group: "library",
    icon: Download,
    when: () => useGallery.getState().marked.size > 0,
    run: async () => (await actions()).download(markedResults()),
  },
  {
    id: "library.trash",
    label: "library.command.trash",
    group: "library",
    icon: Trash2,
    when: mayMarkHere,
    run: async () => {
      await trash(markedResults());
    },
  },
  {
    id: "library.restore",
    label: "library.command.restore",
    group: "library",
    icon: RotateCcw,
    when: mayMarkTrash,
    run: async () => {
      await restore(markedResults());
    },
  },
  {
    id: "library.deleteForGood",
    label: "library.command.deleteForGood",
    group: "library",
    icon: Trash2,
    danger: true,
    when: mayMark,
    run: async () => {
      await (await actions()).removeAll(markedResults());
    },
  },
  {
    id: "library.openTrash",
    label: "library.command.openTrash",
    group: "library",
    icon: Trash2,
    run: () => lookInto(true),
  },
  {
    id: "library.emptyTrash",
    label: "library.command.emptyTrash",
    group: "library",
    icon: Trash2,
    danger: true,
    when: () => mayRun(useConnection.getState()),
    run: async () => (await actions()).emptyTrash(),
  },
  {
    id: "library.takeValues",
    label: "library.command.takeValues",
    group: "library",
    icon: SlidersHorizontal,
    when: () => markedResults().length === 1 || selectedPicture() !== null,
    run: async () => {
      const [first] = markedResults();
      const artifact = first ?? selectedPicture()?.artifact;
      const { takeValues } = await import("@/components/results/values");
      if (artifact) await takeValues(artifact);
    },
  },
  {
    id: "run-table",
    label: "library.command.runTable",
    group: "run",
    icon: Table2,
    when: () =>
      mayRun(useConnection.getState()) && currentWorkflow(activeDocument()).nodes.size > 0,
    run: () => useUi.getState().openDialog("rows"),
  },
];
