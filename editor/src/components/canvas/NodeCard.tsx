/** A node on the canvas: its name and state, its ports, its widgets, and what it gave. */
import { type NodeProps, NodeResizeControl } from "@xyflow/react";
import { type CSSProperties, memo, Suspense, useCallback } from "react";
import { cx } from "@/components/ui";
import { LivePlot } from "@/components/viewers/live";
import { useInnerFindings, useNodeFindings, useNodePlan } from "@/hooks/useNodePlan";
import { useNodeRun } from "@/hooks/useNodeRun";
import { t } from "@/i18n";
import { resizeNode } from "@/model/edits";
import { portsHeight } from "@/model/sizes";
import { isQuiet, usePlan } from "@/store/plan";
import { useSettings } from "@/store/settings";
import { useUi } from "@/store/ui";
import type { CardNode } from "./adapt";
import { CardHeader } from "./CardHeader";
import { CardPorts } from "./CardPorts";
import { CardProblem } from "./CardProblem";
import { CardResults } from "./CardResults";
import { CardRun } from "./CardRun";
import { CardWidgets } from "./CardWidgets";
import type { CardModel } from "./card";
import { tintOf } from "./colors";
import { useDetail } from "./detail";
import { edit } from "./edit";
import { CARD_MIN_WIDTH, portRows } from "./geometry";
import { linkingOf, useLinking } from "./linking";
import { stateOf } from "./live";
import styles from "./NodeCard.module.css";
import { vars } from "./vars";
import { useCanvasView, usePlace } from "./view";

function Card({ id, data, selected, width, height }: NodeProps<CardNode>) {
  const { card, collapsed, color, size } = data;
  const far = useCanvasView((view) => view.far);
  const isFlashed = useCanvasView((view) => view.flash?.node === id);
  const detailed = useDetail(!far);
  const linking = useLinking((state) => linkingOf(state, id));
  const place = usePlace();
  const shown = useNodeRun(place, id);
  const { run } = shown;
  const plan = useNodePlan(place, id);
  const findings = useNodeFindings(place, id);
  const inner = useInnerFindings(place, id);
  const quiet = usePlan(isQuiet);
  const state = stateOf(shown, plan, findings.length > 0);
  const { entry } = card;
  const style: CSSProperties = { ...vars({ "--tint": tintOf(color) }), minHeight: size?.height };
  // An outline keeps the height that the card in full has, or the guess of it.
  if (!detailed && !collapsed) style.height = height ?? undefined;
  return (
    <article
      className={cx(
        styles.card,
        selected && styles.selected,
        far && styles.far,
        color !== "" && styles.tinted,
        entry.mode === "mute" && styles.muted,
        entry.mode === "bypass" && styles.bypassed,
        card.spec === null && !card.pending && styles.unknown,
        isFlashed && styles.flash,
        linking !== null && linking.fits === null && !linking.isStart && styles.unfit,
      )}
      style={style}
      data-node={id}
      data-type={entry.type}
      data-state={state}
      data-detail={detailed}
    >
      <CardHeader card={card} state={state} plan={plan} collapsed={collapsed} far={far} />
      <CardRun run={run} state={state} />
      {far && !collapsed && <div className={styles.farTitle}>{farTitle(card.title)}</div>}
      <CardPorts
        card={card}
        collapsed={collapsed}
        live={detailed}
        far={far}
        linking={linking}
        findings={findings}
        quiet={quiet}
      />
      {!collapsed && (
        <div className={styles.body} style={{ paddingTop: portsHeight(portRows(card)) }}>
          {detailed && (
            <>
              <CardProblem
                card={card}
                run={run}
                state={state}
                findings={findings}
                inner={inner}
                quiet={quiet}
              />
              <CardWidgets card={card} findings={findings} linking={linking} />
            </>
          )}
          {!far && (
            <CardPicture
              card={card}
              preview={run?.preview ?? null}
              plot={run?.plot ?? null}
              isRunning={state === "running"}
            />
          )}
        </div>
      )}
      {detailed && !collapsed && <Resize id={id} width={width} />}
    </article>
  );
}

function CardPicture({
  card,
  preview,
  plot,
  isRunning,
}: {
  card: CardModel;
  preview: string | null;
  plot: unknown;
  isRunning: boolean;
}) {
  const showsPreviews = useSettings((settings) => settings.previews);
  const showsResults = useSettings((settings) => settings.resultsInNodes);
  const isLive = isRunning && (preview !== null || plot !== null) && showsPreviews;
  if (isLive) {
    return (
      <>
        {plot !== null && <CardPlot card={card} plot={plot} />}
        {preview !== null && (
          <div className={styles.preview}>
            <img
              src={preview}
              alt={t("canvas.card.preview", { name: card.title })}
              draggable={false}
            />
          </div>
        )}
      </>
    );
  }
  return showsResults ? <CardResults name={card.name} title={card.title} /> : null;
}

/** The plot of a node that runs, as it grows; a click shows it in full. */
function CardPlot({ card, plot }: { card: CardModel; plot: unknown }) {
  const place = usePlace();
  const props = { place, node: card.name, title: card.title };
  return (
    <button
      type="button"
      className={`${styles.plot} nodrag`}
      tabIndex={-1}
      aria-label={t("canvas.card.plot", { name: card.title })}
      onClick={() => useUi.getState().openDialog("livePlot", props)}
    >
      <Suspense fallback={null}>
        <LivePlot given={plot} name={card.title} isSmall />
      </Suspense>
    </button>
  );
}

function Resize({ id, width }: { readonly id: string; readonly width: number | undefined }) {
  const end = useCallback(
    (_event: unknown, to: { width: number; height: number }) => {
      const isWider = Math.abs(to.width - (width ?? 0)) > 1;
      const size = isWider ? { width: to.width } : { width: to.width, height: to.height };
      edit("canvas.edit.resize", (workflow, scope) => resizeNode(workflow, scope, id, size));
    },
    [id, width],
  );
  return (
    <NodeResizeControl
      position="bottom-right"
      minWidth={CARD_MIN_WIDTH}
      minHeight={40}
      className={cx(styles.resize)}
      onResizeEnd={end}
      autoScale={false}
    />
  );
}

/** As much of a title as a card far away has place for. */
const FAR_LETTERS = 34;

function farTitle(title: string): string {
  return title.length > FAR_LETTERS ? `${title.slice(0, FAR_LETTERS)}…` : title;
}

export const NodeCard = memo(
  Card,
  (a, b) =>
    a.data === b.data && a.selected === b.selected && a.width === b.width && a.height === b.height,
);
