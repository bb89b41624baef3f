/** Commands that can be run now, those that were chosen here last first. */
import { allCommands, type Command, canRun, keysOf, run } from "@/commands";
import { groupLabel } from "@/commands/groups";
import { t } from "@/i18n";
import type { Hit } from "./hits";
import { rank } from "./rank";
import { recentCommands, rememberCommand } from "./recentCommands";

interface Entry {
  readonly command: Command;
  readonly label: string;
  readonly group: string;
}

/** Those that can be run, as long as the focus is where the person is: in the search, none of the canvas can. */
export function runnableNow(): readonly Entry[] {
  const recent = recentCommands();
  const order = (id: string) => (recent.includes(id) ? recent.indexOf(id) : recent.length);
  return allCommands()
    .filter((command) => !command.hidden && canRun(command))
    .map((command) => ({ command, label: t(command.label), group: groupLabel(command.group) }))
    .sort((a, b) => order(a.command.id) - order(b.command.id));
}

export function commandHits(entries: readonly Entry[], query: string): readonly Hit[] {
  return rank(entries, query).map(({ entry: { command, label, group }, matches, score }) => ({
    id: `command:${command.id}`,
    kind: "commands",
    label,
    note: group,
    matches,
    score,
    icon: command.icon,
    keys: keysOf(command)[0],
    open: () => {
      rememberCommand(command.id);
      run(command.id);
    },
  }));
}
