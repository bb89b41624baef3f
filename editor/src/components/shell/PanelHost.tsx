import { X } from "lucide-react";
import { Suspense } from "react";
import { cx, IconButton, Spinner, Splitter, Tabs } from "@/components/ui";
import { t } from "@/i18n";
import { useCatalogue } from "@/store/catalogue";
import { DEFAULT_PANELS, RESULT, type Side, sizeKey, useUi } from "@/store/ui";
import { ErrorBoundary } from "./ErrorBoundary";
import styles from "./PanelHost.module.css";
import { ProblemCount } from "./ProblemCount";
import { PACKS, type PanelInfo, panelByName, panelsOf } from "./registry";
import { useIsSmall } from "./useMedia";

interface Limits {
  readonly min: number;
  readonly max: number;
}

const LIMITS: Readonly<Record<Side, Limits>> = {
  left: { min: 200, max: 560 },
  right: { min: 240, max: 680 },
  bottom: { min: 120, max: 720 },
};
const RESULT_LIMITS: Limits = { min: 200, max: 1200 };

/** The panel of one side of the window: its tabs or title, the panel, and the edge to drag. */
export function PanelHost({ side }: { readonly side: Side }) {
  const name = useUi((ui) => ui.panel[side]);
  const key = useUi((ui) => sizeKey(ui.panel, side));
  const size = useUi((ui) => ui.panel[key]);
  const small = useIsSmall();
  const info = panelByName(name);
  if (!info) return null;
  const { min, max } = info.name === RESULT ? RESULT_LIMITS : LIMITS[side];
  const dimension = side === "bottom" ? "height" : "width";
  const { resizePanel } = useUi.getState();
  return (
    <section
      aria-label={t(info.label)}
      data-region=""
      data-panel={info.name}
      className={cx(styles.host, styles[side])}
      style={small ? undefined : { [dimension]: size }}
    >
      <Header side={side} info={info} />
      <div className={styles.body}>
        <ErrorBoundary area={`panel ${info.name}`} resetKey={info.name}>
          <Suspense fallback={<Loading />}>
            <info.component />
          </Suspense>
        </ErrorBoundary>
      </div>
      {!small && (
        <Splitter
          side={side}
          size={size}
          min={min}
          max={max}
          onChange={(next) => resizePanel(side, next)}
          onReset={() => resizePanel(side, DEFAULT_PANELS[key])}
          label={t("shell.resize", { panel: t(info.label) })}
        />
      )}
    </section>
  );
}

function Header({ side, info }: { readonly side: Side; readonly info: PanelInfo }) {
  const { hidePanel, showPanel } = useUi.getState();
  const packPanels = useCatalogue((state) => state.packPanels.length);
  const close = (
    <IconButton
      icon={X}
      size="s"
      label={t("shell.closePanel")}
      className={styles.close}
      onClick={() => hidePanel(side)}
    />
  );
  // The left panels are chosen in the rail beside them.
  if (side === "left") {
    return (
      <header className={styles.header}>
        <h2 className={styles.title}>{t(info.label)}</h2>
        {close}
      </header>
    );
  }
  const tabs = panelsOf(side, info.name)
    .filter(({ name }) => name !== PACKS || packPanels > 0 || name === info.name)
    .map(({ name, label }) => ({
      id: name,
      label: t(label),
      badge: name === "problems" ? <ProblemCount /> : undefined,
    }));
  return (
    <header className={styles.header}>
      <h2 className={styles.hidden}>{t(info.label)}</h2>
      <Tabs
        tabs={tabs}
        active={info.name}
        onChange={(name) => showPanel(side, name)}
        label={t(side === "right" ? "shell.rightPanels" : "shell.bottomPanels")}
        className={styles.tabs}
      />
      {close}
    </header>
  );
}

export function Loading() {
  return (
    <div className={styles.loading}>
      <Spinner label={t("shell.loading")} size={20} />
    </div>
  );
}
