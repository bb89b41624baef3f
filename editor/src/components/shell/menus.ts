/** What the menus at the top hold: the known commands in a good order, then what else was registered. */
import { groupLabel, menuOf } from "@/commands/groups";
import { commandItems, type MenuEntry } from "@/components/ui";

export interface TopMenu {
  readonly id: string;
  readonly label: string;
  readonly items: () => readonly MenuEntry[];
}

/** Each group of commands under its name. */
function submenus(...groups: readonly string[]): readonly MenuEntry[] {
  return groups
    .map((group) => ({ label: groupLabel(group), items: commandItems(menuOf(group)) }))
    .filter(({ items }) => items.length > 0);
}

const FILE = [
  "file.new",
  "file.open",
  "file.templates",
  "file.openFile",
  "-",
  "file.save",
  "file.saveAs",
  "file.saveFile",
  "-",
  "file.share",
];
const CLOSING = ["-", "tabs.rename", "tabs.reopen", "tabs.close"];
const EDIT = [
  "edit.undo",
  "edit.redo",
  "-",
  "edit.cut",
  "edit.copy",
  "edit.paste",
  "edit.pasteLinked",
  "edit.duplicate",
  "edit.duplicateAlone",
  "-",
  "edit.delete",
  "edit.deleteReconnect",
  "-",
  "search.everything",
  "search.graph",
  "search.next",
  "search.previous",
];
const VIEW = [
  "view.generate",
  "view.canvas",
  "-",
  "view.zoomIn",
  "view.zoomOut",
  "view.actualSize",
  "view.fit",
  "view.fitSelection",
  "-",
  "view.minimap",
  "view.snap",
  "-",
  "parameters.app",
  "view.leftSide",
  "view.rightSide",
  "view.bottomSide",
];
/** Also what the arrow beside the button Run shows. */
export const WAYS_TO_RUN = [
  "run",
  "run-first",
  "run-to-here",
  "run-sweep",
  "run-table",
  "-",
  "cancel-run",
  "cancel-document",
  "retry-run",
];
const HELP = [
  "help.tour",
  "help.lessons",
  "-",
  "panels.help",
  "help.shortcuts",
  "-",
  "help.settings",
];

export const MENUS: readonly TopMenu[] = [
  {
    id: "file",
    label: "shell.group.file",
    items: () => commandItems([...menuOf("file", FILE), ...CLOSING]),
  },
  {
    id: "edit",
    label: "shell.group.edit",
    items: () => [
      ...commandItems(menuOf("edit", EDIT)),
      "separator",
      ...submenus("select", "nodes", "arrange", "parameters"),
    ],
  },
  {
    id: "view",
    label: "shell.group.view",
    items: () => [
      ...commandItems(menuOf("view", VIEW)),
      "separator",
      ...submenus("panels", "tabs", "theme"),
    ],
  },
  { id: "run", label: "shell.group.run", items: () => commandItems(menuOf("run", WAYS_TO_RUN)) },
  { id: "help", label: "shell.group.help", items: () => commandItems(menuOf("help", HELP)) },
];
