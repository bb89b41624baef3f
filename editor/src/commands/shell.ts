/** The page itself: settings, keys, theme, going from part to part. */
import {
  Brush,
  Contrast,
  Keyboard,
  ListTree,
  Moon,
  PanelBottom,
  PanelLeft,
  PanelRight,
  Settings,
  Sparkles,
  Sun,
  SunMoon,
} from "lucide-react";
import { mayRun, useConnection } from "@/store/connection";
import { activeDocument, currentWorkflow } from "@/store/documents";
import { setSetting, type ThemeChoice, useSettings } from "@/store/settings";
import { type Side, useUi } from "@/store/ui";
import type { Command } from "./registry";

const openDialog = (name: string) => () => useUi.getState().openDialog(name);

function theme(choice: ThemeChoice, icon: Command["icon"]): Command {
  return {
    id: `view.theme.${choice}`,
    label: `shell.theme.${choice}`,
    group: "theme",
    ...(icon && { icon }),
    checked: () => useSettings.getState().theme === choice,
    run: () => setSetting("theme", choice),
  };
}

const USUAL: Readonly<Record<Side, string>> = {
  left: "palette",
  right: "inspector",
  bottom: "queue",
};

/** The panel that a side showed last, so that hiding and showing comes back to it. */
const last: Partial<Record<Side, string>> = {};
useUi.subscribe(({ panel }) => {
  for (const side of ["left", "right", "bottom"] as const) {
    const shown = panel[side];
    if (shown !== null) last[side] = shown;
  }
});

function side(name: Side, keys: readonly string[], icon: Command["icon"]): Command {
  return {
    id: `view.${name}Side`,
    label: `shell.side.${name}`,
    group: "view",
    keys,
    ...(icon && { icon }),
    checked: () => useUi.getState().panel[name] !== null,
    run: () => {
      const { panel, hidePanel, showPanel } = useUi.getState();
      if (panel[name] === null) showPanel(name, last[name] ?? USUAL[name]);
      else hidePanel(name);
    },
  };
}

/** Move the focus to the next part of the page: bar, rail, panels, canvas, status. */
function nextRegion(by: number): void {
  const regions = [...document.querySelectorAll<HTMLElement>("[data-region]")];
  const now = regions.findIndex((region) => region.contains(document.activeElement));
  const start = now < 0 && by < 0 ? 0 : now;
  for (let step = 1; step <= regions.length; step += 1) {
    const region = regions[(start + by * step + regions.length * 2) % regions.length];
    const target =
      region?.querySelector<HTMLElement>(CHOSEN) ?? region?.querySelector<HTMLElement>(FOCUSABLE);
    if (target) {
      target.focus();
      return;
    }
  }
}

/** On the canvas one goes back to where one was. */
const CHOSEN = ".react-flow__node.selected";
const FOCUSABLE =
  "button:not(:disabled):not([tabindex='-1']), input:not(:disabled), select, textarea, a[href], [tabindex='0']";

export const commands: readonly Command[] = [
  {
    id: "run-sweep",
    label: "shell.sweepCommand",
    group: "run",
    icon: ListTree,
    when: () =>
      mayRun(useConnection.getState()) && currentWorkflow(activeDocument()).nodes.size > 0,
    run: openDialog("sweep"),
  },
  {
    id: "help.shortcuts",
    label: "shell.shortcuts",
    group: "help",
    keys: ["?"],
    icon: Keyboard,
    run: openDialog("shortcuts"),
  },
  {
    id: "help.settings",
    label: "shell.settings",
    group: "help",
    keys: ["mod+,"],
    icon: Settings,
    inText: true,
    run: openDialog("settings"),
  },
  { id: "help.about", label: "shell.about", group: "help", run: openDialog("about") },
  {
    id: "view.generate",
    label: "shell.generate",
    group: "view",
    keys: ["alt+m"],
    icon: Sparkles,
    checked: () => useUi.getState().view === "generate",
    run: () => {
      const { view, setView } = useUi.getState();
      setView(view === "generate" ? "graph" : "generate");
    },
  },
  {
    id: "view.canvas",
    label: "shell.canvas",
    group: "view",
    keys: ["alt+c"],
    icon: Brush,
    checked: () => useUi.getState().view === "canvas",
    run: () => {
      const { view, setView } = useUi.getState();
      setView(view === "canvas" ? "graph" : "canvas");
    },
  },
  side("left", ["alt+["], PanelLeft),
  side("right", ["alt+]"], PanelRight),
  side("bottom", ["mod+j"], PanelBottom),
  theme("system", SunMoon),
  theme("light", Sun),
  theme("dark", Moon),
  theme("contrast", Contrast),
  {
    id: "view.nextRegion",
    label: "shell.nextRegion",
    group: "view",
    keys: ["f6"],
    hidden: true,
    inText: true,
    run: () => nextRegion(1),
  },
  {
    id: "view.previousRegion",
    label: "shell.previousRegion",
    group: "view",
    keys: ["shift+f6"],
    hidden: true,
    inText: true,
    run: () => nextRegion(-1),
  },
];
