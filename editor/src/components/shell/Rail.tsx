import { Blocks, type LucideIcon, Search, Settings } from "lucide-react";
import { commandById, keysOf, run } from "@/commands";
import { IconButton } from "@/components/ui";
import { t } from "@/i18n";
import { useUi } from "@/store/ui";
import styles from "./Rail.module.css";
import { panelsOf } from "./registry";

/** The strip at the left: the panels of that side, and what is always at hand. */
export function Rail() {
  const shown = useUi((ui) => ui.panel.left);
  const { togglePanel } = useUi.getState();
  return (
    <nav aria-label={t("shell.rail")} data-region="" className={styles.rail}>
      <CommandButton id="search.everything" icon={Search} label={t("search.title")} />
      {panelsOf("left", null).map(({ name, icon, label }) => (
        <IconButton
          key={name}
          icon={icon}
          label={t(label)}
          keys={keyOf(`panels.${name}`)}
          pressed={shown === name}
          data-tip-side="right"
          className={styles.button}
          onClick={() => togglePanel("left", name)}
        />
      ))}
      <CommandButton id="file.templates" icon={Blocks} label={t("shell.templates")} />
      <span className={styles.gap} />
      <CommandButton id="help.settings" icon={Settings} label={t("shell.settings")} />
    </nav>
  );
}

function keyOf(id: string): string | undefined {
  const command = commandById(id);
  return command ? keysOf(command)[0] : undefined;
}

interface ButtonProps {
  readonly id: string;
  readonly icon: LucideIcon;
  readonly label: string;
}

function CommandButton({ id, icon, label }: ButtonProps) {
  if (!commandById(id)) return null;
  return (
    <IconButton
      icon={icon}
      label={label}
      keys={keyOf(id)}
      data-tip-side="right"
      className={styles.button}
      onClick={() => run(id)}
    />
  );
}
