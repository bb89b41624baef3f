import { Bookmark, RotateCcw, Workflow } from "lucide-react";
import { useState } from "react";
import { Button, IconButton, Menu, type MenuEntry } from "@/components/ui";
import { t } from "@/i18n";
import { notifyFault } from "@/store/notices";
import { deletePreset } from "@/store/presets";
import { openSettingsAsGraph, startOver } from "./actions";
import styles from "./GeneratePage.module.css";
import { applyPreset, listPresets, savePreset } from "./presets";

/** The presets, and the ways out: anew, and as a graph. */
export function PageHead() {
  return (
    <header className={styles.head}>
      <h2 className={styles.title}>{t("generate.title")}</h2>
      <span className={styles.tools}>
        <PresetMenu />
        <IconButton icon={RotateCcw} label={t("generate.startOver")} onClick={startOver} />
        <IconButton icon={Workflow} label={t("generate.openGraph")} onClick={openSettingsAsGraph} />
      </span>
    </header>
  );
}

interface Opened {
  readonly anchor: Element;
  readonly names: readonly string[];
}

function PresetMenu() {
  const [opened, setOpened] = useState<Opened | null>(null);
  const open = (anchor: Element) => {
    listPresets().then(
      (names) => setOpened({ anchor, names }),
      (fault) => notifyFault(fault),
    );
  };
  return (
    <>
      <Button
        icon={Bookmark}
        variant="ghost"
        aria-haspopup="menu"
        aria-expanded={opened !== null}
        onClick={(event) => open(event.currentTarget)}
      >
        {t("generate.presets")}
      </Button>
      {opened && (
        <Menu
          items={entriesOf(opened.names)}
          anchor={opened.anchor}
          label={t("generate.presets")}
          onClose={() => setOpened(null)}
        />
      )}
    </>
  );
}

function entriesOf(names: readonly string[]): readonly MenuEntry[] {
  const save = { label: t("generate.savePreset"), run: () => void savePreset() };
  if (names.length === 0) return [{ heading: t("generate.noPresets") }, save];
  return [
    ...names.map((name) => ({ label: name, run: () => void applyPreset(name) })),
    "separator",
    save,
    {
      label: t("generate.deletePresetMenu"),
      items: names.map((name) => ({
        label: name,
        danger: true,
        run: () => void deletePreset(name),
      })),
    },
  ];
}
