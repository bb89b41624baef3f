import { AppWindow, Workflow } from "lucide-react";
import { tip } from "@/components/ui";
import { t } from "@/i18n";
import { type Ui, useUi } from "@/store/ui";
import styles from "./ViewSwitch.module.css";

const VIEWS: readonly { readonly view: Ui["view"]; readonly icon: typeof Workflow }[] = [
  { view: "graph", icon: Workflow },
  { view: "app", icon: AppWindow },
];

/** Graph or form. */
export function ViewSwitch() {
  const view = useUi((ui) => ui.view);
  return (
    <fieldset aria-label={t("shell.view")} className={styles.switch}>
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
        </button>
      ))}
    </fieldset>
  );
}
