/** Opening, saving, sharing and exporting workflows. */
import {
  Boxes,
  Compass,
  FileCode,
  FileJson,
  FilePlus,
  FolderOpen,
  GraduationCap,
  HardDriveDownload,
  Image,
  LayoutTemplate,
  PackageSearch,
  Save,
  SaveAll,
  Share2,
} from "lucide-react";
import { emptyWorkflow } from "@/model/workflow";
import { isAdmin, useConnection } from "@/store/connection";
import { documentById, useDocuments } from "@/store/documents";
import { useUi } from "@/store/ui";
import type { Command } from "./registry";

const opening = () => import("@/components/files/opening");
const saving = () => import("@/components/files/saving");
const exporting = () => import("@/components/files/exporting");

/** The document that a command was run on: the one given, else the active one. */
function meant(context: unknown): string {
  const { active } = useDocuments.getState();
  return typeof context === "string" && documentById(context) ? context : active;
}

function openDialog(name: string, props: Record<string, unknown> = {}): void {
  useUi.getState().openDialog(name, props);
}

export const commands: readonly Command[] = [
  {
    id: "file.new",
    label: "files.new",
    group: "file",
    keys: ["alt+n"],
    icon: FilePlus,
    inText: true,
    run: () => {
      useDocuments.getState().open(emptyWorkflow(), { replaceEmpty: false });
    },
  },
  {
    id: "file.open",
    label: "files.open",
    group: "file",
    keys: ["mod+o"],
    icon: FolderOpen,
    inText: true,
    run: () => openDialog("open", { tab: "saved" }),
  },
  {
    id: "file.templates",
    label: "files.templates",
    group: "file",
    keys: ["alt+t"],
    icon: LayoutTemplate,
    run: () => openDialog("open", { tab: "templates" }),
  },
  {
    id: "file.openFile",
    label: "files.openFile",
    group: "file",
    keys: ["mod+shift+o"],
    icon: FileJson,
    inText: true,
    run: async () => (await opening()).openChosen(),
  },
  {
    id: "file.save",
    label: "files.save",
    group: "file",
    keys: ["mod+s"],
    icon: Save,
    inText: true,
    run: async (context) => (await saving()).save(meant(context)),
  },
  {
    id: "file.saveAs",
    label: "files.saveAs",
    group: "file",
    keys: ["mod+shift+s"],
    icon: SaveAll,
    inText: true,
    run: (context) => openDialog("saveAs", { document: meant(context) }),
  },
  {
    id: "file.saveFile",
    label: "files.saveFile",
    group: "file",
    icon: HardDriveDownload,
    run: async (context) => {
      await (await saving()).saveFile(meant(context));
    },
  },
  {
    id: "file.share",
    label: "files.share",
    group: "file",
    icon: Share2,
    run: () => openDialog("share"),
  },
  {
    id: "file.exportPython",
    label: "files.exportPython",
    group: "file",
    icon: FileCode,
    run: async () => (await exporting()).exportPythonFile(),
  },
  {
    id: "file.exportSvg",
    label: "files.exportSvg",
    group: "file",
    icon: Image,
    run: async () => (await exporting()).exportSvgFile(),
  },
  {
    id: "file.missing",
    label: "files.missing",
    group: "file",
    icon: PackageSearch,
    run: () => openDialog("missing"),
  },
  {
    id: "file.packs",
    label: "packs.command",
    group: "file",
    icon: Boxes,
    when: () => isAdmin(useConnection.getState()),
    run: () => openDialog("packs"),
  },
  {
    id: "help.tour",
    label: "lessons.tour",
    group: "help",
    icon: Compass,
    run: async () => {
      await (await import("@/components/lessons/start")).startTour();
    },
  },
  {
    id: "help.lessons",
    label: "lessons.command",
    group: "help",
    icon: GraduationCap,
    run: () => openDialog("open", { tab: "lessons" }),
  },
];
