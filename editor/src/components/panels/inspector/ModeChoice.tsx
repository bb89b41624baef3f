/** Whether nodes run, are left out, or hand on what they are given. */
import { Ban, type LucideIcon, Play, Redo } from "lucide-react";
import { useId } from "react";
import { tip } from "@/components/ui";
import { t } from "@/i18n";
import { setMode } from "@/model/edits";
import type { Mode } from "@/model/workflow";
import { edit } from "./change";
import styles from "./Inspector.module.css";

const MODES: readonly {
  readonly mode: Mode | null;
  readonly icon: LucideIcon;
  readonly key: string;
}[] = [
  { mode: null, icon: Play, key: "run" },
  { mode: "mute", icon: Ban, key: "mute" },
  { mode: "bypass", icon: Redo, key: "bypass" },
];

interface Props {
  readonly names: readonly string[];
  /** Undefined: they differ. */
  readonly mode: Mode | null | undefined;
}

export function ModeChoice({ names, mode }: Props) {
  const id = useId();
  return (
    <fieldset className={styles.segments} aria-label={t("panels.inspector.mode")}>
      {MODES.map(({ mode: value, icon: Icon, key }) => (
        <label key={key} {...tip(t(`panels.inspector.mode.${key}.help`))}>
          <input
            type="radio"
            name={id}
            checked={mode === value}
            onChange={() => edit("panels.edit.mode", (w, scope) => setMode(w, scope, names, value))}
          />
          <Icon aria-hidden size={13} />
          {t(`panels.inspector.mode.${key}`)}
        </label>
      ))}
    </fieldset>
  );
}
