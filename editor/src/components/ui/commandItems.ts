import { canRun, commandById, keysOf, run } from "@/commands/registry";
import { t } from "@/i18n";
import type { MenuEntry } from "./menuTypes";

/**
 * Menu entries from commands by id; "-" is a separator. Ids without a command are left out, and
 * what can't be done now is shown greyed.
 */
export function commandItems(ids: readonly string[], context?: unknown): readonly MenuEntry[] {
  const entries = ids.flatMap((id): MenuEntry[] => {
    if (id === "-") return ["separator"];
    const command = commandById(id);
    if (!command) return [];
    return [
      {
        id,
        label: t(command.label),
        icon: command.icon,
        keys: keysOf(command)[0],
        checked: command.checked?.(),
        danger: command.danger ?? false,
        disabled: !canRun(command),
        run: () => run(id, context),
      },
    ];
  });
  return tidy(entries);
}

/** Without separators at the ends or in a row, which left-out commands leave behind. */
export function tidy(entries: readonly MenuEntry[]): readonly MenuEntry[] {
  const kept = entries.filter(
    (entry, index) => entry !== "separator" || (index > 0 && entries[index - 1] !== "separator"),
  );
  const end = kept.at(-1) === "separator" ? -1 : kept.length;
  return kept.slice(0, end);
}
