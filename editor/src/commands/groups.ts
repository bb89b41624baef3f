/** The order of the groups of commands, and of the commands in menus. */
import { hasText, t } from "@/i18n";
import { allCommands, type Command } from "./registry";

export const GROUPS = [
  "file",
  "edit",
  "select",
  "nodes",
  "arrange",
  "view",
  "theme",
  "panels",
  "tabs",
  "run",
  "library",
  "parameters",
  "help",
];

export function groupLabel(group: string): string {
  const key = `shell.group.${group}`;
  return hasText(key) ? t(key) : group.charAt(0).toUpperCase() + group.slice(1);
}

/** Commands by group, the known groups first and in their order. */
export function byGroup(
  commands: readonly Command[],
): readonly (readonly [string, readonly Command[]])[] {
  const groups = new Map<string, Command[]>();
  for (const command of commands) {
    const list = groups.get(command.group) ?? [];
    groups.set(command.group, [...list, command]);
  }
  const rank = (group: string) => (GROUPS.includes(group) ? GROUPS.indexOf(group) : GROUPS.length);
  return [...groups].sort(([a], [b]) => rank(a) - rank(b));
}

/** The ids of a group for a menu: those of `first` in that order, then what else there is. */
export function menuOf(group: string, first: readonly string[] = []): readonly string[] {
  const others = allCommands()
    .filter((command) => command.group === group && !command.hidden && !first.includes(command.id))
    .map((command) => command.id);
  return [...first, "-", ...others];
}
