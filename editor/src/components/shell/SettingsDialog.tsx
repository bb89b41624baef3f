import { FolderCog, Globe, Keyboard, type LucideIcon, Palette, Play, Workflow } from "lucide-react";
import { type ComponentType, useState } from "react";
import { Button, Dialog, Tabs } from "@/components/ui";
import { t } from "@/i18n";
import { resetSettings } from "@/store/settings";
import { confirm } from "@/store/ui";
import styles from "./SettingsDialog.module.css";
import { CanvasSettings } from "./settings/CanvasSettings";
import { KeySettings } from "./settings/KeySettings";
import { LanguageSettings } from "./settings/LanguageSettings";
import { LookSettings } from "./settings/LookSettings";
import { RunSettings } from "./settings/RunSettings";
import { WorkSettings } from "./settings/WorkSettings";

interface Page {
  readonly id: string;
  readonly label: string;
  readonly icon: LucideIcon;
  readonly component: ComponentType;
}

const PAGES: readonly Page[] = [
  { id: "look", label: "settings.look", icon: Palette, component: LookSettings },
  { id: "canvas", label: "settings.canvas", icon: Workflow, component: CanvasSettings },
  { id: "running", label: "settings.running", icon: Play, component: RunSettings },
  { id: "work", label: "settings.work", icon: FolderCog, component: WorkSettings },
  { id: "keys", label: "settings.keys", icon: Keyboard, component: KeySettings },
  { id: "language", label: "settings.language", icon: Globe, component: LanguageSettings },
];

interface Props {
  readonly onClose: () => void;
  readonly page?: string;
}

export default function SettingsDialog({ onClose, page = "look" }: Props) {
  const [active, setActive] = useState(page);
  const shown = PAGES.find(({ id }) => id === active) ?? PAGES[0];
  const reset = async () => {
    const sure = await confirm({
      title: t("settings.resetAsk"),
      detail: t("settings.resetDetail"),
      confirm: t("settings.reset"),
      danger: true,
    });
    if (sure) resetSettings();
  };
  return (
    <Dialog
      title={t("settings.title")}
      size="l"
      padded={false}
      onClose={onClose}
      className={styles.dialog ?? ""}
      footer={
        <>
          <Button variant="ghost" className={styles.reset} onClick={reset}>
            {t("settings.reset")}
          </Button>
          <Button variant="primary" onClick={onClose}>
            {t("settings.done")}
          </Button>
        </>
      }
    >
      <Tabs
        vertical
        label={t("settings.title")}
        tabs={PAGES.map(({ id, label, icon }) => ({ id, icon, label: t(label) }))}
        active={active}
        onChange={setActive}
        className={styles.tabs}
      >
        <div className={styles.page}>{shown && <shown.component />}</div>
      </Tabs>
    </Dialog>
  );
}
