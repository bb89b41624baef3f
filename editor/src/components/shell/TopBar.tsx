import { Menu as MenuIcon, Settings } from "lucide-react";
import { run } from "@/commands";
import { Members } from "@/components/together/Members";
import { IconButton, MenuButton } from "@/components/ui";
import { t } from "@/i18n";
import { useUi } from "@/store/ui";
import { DocumentTabs } from "./DocumentTabs";
import { Logo } from "./Logo";
import { MENUS } from "./menus";
import { QueueButton } from "./QueueButton";
import { RunControls } from "./RunControls";
import { ConnectionState } from "./StatusBar";
import styles from "./TopBar.module.css";
import { useIsNarrow } from "./useMedia";
import { ViewSwitch } from "./ViewSwitch";

/** The bar at the top: menus, open workflows, view and run. */
export function TopBar() {
  const isGenerate = useUi(({ view }) => view === "generate");
  return isGenerate ? <GenerateBar /> : <GraphBar />;
}

/** Of the page without a graph: the other views, and the settings. */
function GenerateBar() {
  return (
    <header data-region="" className={styles.bar}>
      <h1 className={styles.hidden}>nodegraph</h1>
      <span className={styles.logo}>
        <Logo />
      </span>
      <ViewSwitch />
      <span className={styles.gap} />
      <div className={styles.end}>
        <ConnectionState />
        <IconButton
          icon={Settings}
          label={t("shell.settings")}
          onClick={() => run("help.settings")}
        />
      </div>
    </header>
  );
}

function GraphBar() {
  return (
    <header data-region="" className={styles.bar}>
      <h1 className={styles.hidden}>nodegraph</h1>
      <Menus />
      <DocumentTabs />
      <div className={styles.end}>
        <Members />
        <ViewSwitch />
        <QueueButton />
        <RunControls />
      </div>
    </header>
  );
}

function Menus() {
  const narrow = useIsNarrow();
  const all = () => MENUS.map(({ label, items }) => ({ label: t(label), items: items() }));
  if (narrow) {
    return (
      <MenuButton items={all} label={t("shell.menu")} className={styles.brand}>
        <Logo />
        <MenuIcon aria-hidden size={15} />
      </MenuButton>
    );
  }
  return (
    <nav aria-label={t("shell.menu")} className={styles.menus}>
      <span className={styles.logo}>
        <Logo />
      </span>
      {MENUS.map(({ id, label, items }) => (
        <MenuButton key={id} items={items} label={t(label)} className={styles.menu}>
          {t(label)}
        </MenuButton>
      ))}
    </nav>
  );
}
