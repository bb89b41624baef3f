import { AppWindow, Brush, Sparkles, Workflow } from "lucide-react";
import { tip } from "@/components/ui";
import { t } from "@/i18n";
import { useUi, type View } from "@/store/ui";
import styles from "./ViewSwitch.module.css";

const VIEWS: readonly { readonly view: View; readonly icon: typeof Workflow }[] = [
  { view: "generate", icon: Sparkles },
  { view: "graph", icon: Workflow },
  { view: "canvas", icon: Brush },
  { view: "app", icon: AppWindow },
];

/** Without a graph, the graph, the canvas, or the form. */
export function ViewSwitch() {
  const view = useUi((ui) => ui.view);
  return (
    <fieldset aria-label={t("shell.view")} data-view={view} className={styles.switch}>
      {VIEWS.map(({ view: name, icon: Icon }) => (
        <button
          key={name}
          type="button"
          aria-pressed={view === name}
          aria-label={t(`shell.view.${name}`)}
          className={styles.choice}
          onClick={() => useUi.getState().setView(name)}
          {...tip(t(`shell.view.${name}`))}
        >
          <Icon aria-hidden size={15} />
          {(name === "generate" || view === "generate") && (
            <span className={styles.name}>{t(`shell.view.${name}`)}</span>
          )}
        </button>
      ))}
    </fieldset>
  );
}
