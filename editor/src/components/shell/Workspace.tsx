import { Image, PanelRight } from "lucide-react";
import { type ReactNode, Suspense, useEffect } from "react";
import { IconButton } from "@/components/ui";
import { t } from "@/i18n";
import { RESULT, type Side, useUi } from "@/store/ui";
import { ErrorBoundary } from "./ErrorBoundary";
import { Loading, PanelHost } from "./PanelHost";
import { Rail } from "./Rail";
import {
  AddNodeSearch,
  AppMode,
  Canvas,
  fetchSearch,
  GeneratePage,
  PaintingView,
} from "./registry";
import { useIsSmall } from "./useMedia";
import styles from "./Workspace.module.css";

/** The middle of the page: the graph with its panels, the canvas, the form, or the page without a graph. */
export function Workspace() {
  const view = useUi((ui) => ui.view);
  if (view === "generate") return <GenerateView />;
  if (view === "canvas") return <CanvasView />;
  return view === "app" ? <AppView /> : <GraphView />;
}

function GenerateView() {
  return (
    <main data-region="" className={styles.app}>
      <ErrorBoundary area="generate">
        <Suspense fallback={<Loading />}>
          <GeneratePage />
        </Suspense>
      </ErrorBoundary>
    </main>
  );
}

function CanvasView() {
  return (
    <WithLowerPanel>
      <main data-region="" className={styles.app} aria-label={t("shell.view.canvas")}>
        <ErrorBoundary area="painting">
          <Suspense fallback={<Loading />}>
            <PaintingView />
          </Suspense>
        </ErrorBoundary>
      </main>
    </WithLowerPanel>
  );
}

function AppView() {
  return (
    <WithLowerPanel>
      <main data-region="" className={styles.app}>
        <ErrorBoundary area="app mode">
          <Suspense fallback={<Loading />}>
            <AppMode />
          </Suspense>
        </ErrorBoundary>
      </main>
    </WithLowerPanel>
  );
}

/** The line at the bottom has buttons for the problems and the results, which are shown there. */
function WithLowerPanel({ children }: { readonly children: ReactNode }) {
  const small = useIsSmall();
  return (
    <div className={styles.columns}>
      <div className={styles.middle}>
        {children}
        <PanelHost side="bottom" />
      </div>
      {small && <Scrim sides={LOWER} />}
    </div>
  );
}

const LOWER = ["bottom"] as const;
const ALL = ["left", "right", "bottom"] as const;

function GraphView() {
  const small = useIsSmall();
  useEffect(fetchSearch, []);
  return (
    <div className={styles.columns}>
      <Rail />
      <PanelHost side="left" />
      <div className={styles.middle}>
        <div data-region="" className={styles.canvas}>
          <ErrorBoundary area="canvas">
            <Suspense fallback={<Loading />}>
              <Canvas />
            </Suspense>
          </ErrorBoundary>
          <div className={styles.corner}>
            <ResultButton />
            <InspectorButton />
          </div>
        </div>
        <PanelHost side="bottom" />
      </div>
      <PanelHost side="right" />
      <NodeSearch />
      {small && <Scrim sides={ALL} />}
    </div>
  );
}

/** Brings the right panel back where it was closed. */
function InspectorButton() {
  const isOpen = useUi((ui) => ui.panel.right !== null);
  if (isOpen) return null;
  return (
    <IconButton
      data-tour="inspector"
      icon={PanelRight}
      label={t("shell.showRight")}
      className={styles.panelButton}
      onClick={() => useUi.getState().showPanel("right", "inspector")}
    />
  );
}

/** Brings the newest result beside the graph. */
function ResultButton() {
  const isOpen = useUi(({ panel }) => panel.right === RESULT || panel.bottom === RESULT);
  if (isOpen) return null;
  return (
    <IconButton
      data-tour="result"
      icon={Image}
      label={t("shell.showResult")}
      className={styles.panelButton}
      onClick={() => {
        const { panel, showPanel } = useUi.getState();
        showPanel(panel.resultSide, RESULT);
      }}
    />
  );
}

function NodeSearch() {
  const isOpen = useUi((ui) => ui.addNode !== null);
  if (!isOpen) return null;
  return (
    <ErrorBoundary area="node search">
      <Suspense fallback={null}>
        <AddNodeSearch />
      </Suspense>
    </ErrorBoundary>
  );
}

/** On a small screen a touch beside the panel closes it. */
function Scrim({ sides }: { readonly sides: readonly Side[] }) {
  const side = useUi(({ panel }) => sides.find((each) => panel[each] !== null));
  if (!side) return null;
  return (
    <button
      type="button"
      aria-label={t("shell.closePanel")}
      className={styles.scrim}
      onClick={() => useUi.getState().hidePanel(side)}
    />
  );
}
