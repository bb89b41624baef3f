/** A node on the canvas: its name and state, its ports, its widgets, and what it gave. */
import type { NodeProps } from "@xyflow/react";
import { type CSSProperties, memo, type PointerEvent, Suspense, useMemo, useState } from "react";
import type { CardNode } from "@/components/canvas/adapt";
import { FarCard } from "@/components/canvas/far/FarCard";
import { familyColor, tintOf } from "@/components/canvas/frames/colors";
import { linkingOf, useLinking } from "@/components/canvas/links/linking";
import { vars } from "@/components/canvas/vars";
import { useCanvasView, usePlace } from "@/components/canvas/view";
import { cx } from "@/components/ui";
import { LivePlot } from "@/components/viewers/live";
import { useInnerFindings, useNodeFindings, useNodePlan } from "@/hooks/useNodePlan";
import { useNodeRun } from "@/hooks/useNodeRun";
import { t } from "@/i18n";
import { LEAST_CHOSEN, LEAST_PICTURE, portsHeight, showsPictures } from "@/model/sizes";
import { useQuietly } from "@/store/asked";
import { useSettings } from "@/store/settings";
import { useUi } from "@/store/ui";
import { CardHeader } from "./CardHeader";
import { CardPorts } from "./CardPorts";
import { CardProblem } from "./CardProblem";
import { CardResize } from "./CardResize";
import { CardResults } from "./CardResults";
import { CardRun } from "./CardRun";
import { CardWidgets } from "./CardWidgets";
import type { CardModel } from "./card";
import { useDetail } from "./detail";
import { HEADER_HEIGHT, portRows } from "./geometry";
import { stateOf } from "./live";
import styles from "./NodeCard.module.css";

/** In full, or as a block where so much is seen that nothing on it could be read. */
function Card(props: NodeProps<CardNode>) {
  const far = useCanvasView((view) => view.far);
  const detailed = useDetail(!far);
  if (far && !detailed) return <FarCard {...props} />;
  return <FullCard {...props} far={far} detailed={detailed} />;
}

interface FullCardProps extends NodeProps<CardNode> {
  readonly far: boolean;
  readonly detailed: boolean;
}

function FullCard({ id, data, selected, width, height, far, detailed }: FullCardProps) {
  const { card, collapsed, color, size } = data;
  const isFlashed = useCanvasView((view) => view.flash?.node === id);
  const linking = useLinking((state) => linkingOf(state, id));
  const place = usePlace();
  const shown = useNodeRun(place, id);
  const { run } = shown;
  const plan = useNodePlan(place, id);
  const findings = useNodeFindings(place, id);
  const inner = useInnerFindings(place, id);
  const quietly = useQuietly();
  const loud = useMemo(() => findings.filter((each) => !quietly(each)), [findings, quietly]);
  const state = stateOf(shown, plan, findings.length > 0);
  const { entry } = card;
  const style: CSSProperties = {
    ...vars({ "--family": familyColor(card, color), "--tint": tintOf(color) }),
    minHeight: collapsed ? undefined : size?.height,
  };
  const [leastHeight, setLeastHeight] = useState(0);
  // An outline keeps the height that the card in full has, or the guess of it; a block, too, which
  // loses its pictures before its fields.
  if ((far || !detailed) && !collapsed) style.height = height ?? undefined;
  return (
    <article
      className={cx(
        styles.card,
        selected && styles.selected,
        far && styles.far,
        color !== "" && styles.tinted,
        card.family === null && styles.plain,
        entry.mode === "mute" && styles.muted,
        entry.mode === "bypass" && styles.bypassed,
        card.spec === null && !card.pending && !card.mayCome && styles.unknown,
        isFlashed && styles.flash,
        linking !== null && linking.fits === null && !linking.isStart && styles.unfit,
      )}
      style={style}
      data-node={id}
      data-type={entry.type}
      data-state={state}
      data-detail={detailed}
      data-sized={(size?.height !== undefined && !collapsed) || undefined}
      onPointerEnter={far ? undefined : (event) => setLeastHeight(leastHeightOf(event))}
    >
      <CardHeader card={card} state={state} plan={plan} collapsed={collapsed} far={far} />
      <CardRun run={run} state={state} far={far} />
      <CardPorts
        card={card}
        collapsed={collapsed}
        live={detailed}
        far={far}
        linking={linking}
        findings={findings}
        loud={loud}
      />
      {!collapsed && (
        <div className={styles.body} data-body style={{ paddingTop: portsHeight(portRows(card)) }}>
          {detailed && (
            <>
              <CardProblem
                card={card}
                run={run}
                state={state}
                findings={findings}
                inner={inner}
                within={`${place.prefix}${id}/`}
              />
              <CardWidgets card={card} findings={loud} linking={linking} />
            </>
          )}
          {!far && (
            <CardPicture
              card={card}
              preview={run?.preview ?? null}
              plot={run?.plot ?? null}
              isRunning={state === "running"}
              width={width ?? 0}
            />
          )}
        </div>
      )}
      {detailed && !collapsed && (
        <CardResize
          id={id}
          size={size}
          minHeight={leastHeight}
          hasEdges={leastHeight > 0 || (selected ?? false)}
        />
      )}
    </article>
  );
}

/** How high a card must be for all but its pictures, which take what is left. */
function leastHeightOf({ currentTarget }: PointerEvent<HTMLElement>): number {
  const body = currentTarget.querySelector<HTMLElement>("[data-body]");
  if (body === null) return HEADER_HEIGHT;
  const parts = [...body.children].filter((part) => part instanceof HTMLElement);
  const heights = parts.map((part) =>
    part.hasAttribute("data-grows") ? LEAST_PICTURE : part.offsetHeight - spareHeight(part),
  );
  const ports = Number.parseFloat(body.style.paddingTop) || 0;
  return heights.reduce((sum, height) => sum + height, HEADER_HEIGHT + ports);
}

/** What the chosen pictures in a part of a card have beyond the least. */
function spareHeight(part: HTMLElement): number {
  const pictures = [...part.querySelectorAll<HTMLElement>("[data-picture] [data-chosen]")];
  return pictures.reduce((sum, each) => sum + Math.max(0, each.offsetHeight - LEAST_CHOSEN), 0);
}

function CardPicture({
  card,
  preview,
  plot,
  isRunning,
  width,
}: {
  card: CardModel;
  preview: string | null;
  plot: unknown;
  isRunning: boolean;
  width: number;
}) {
  const showsPreviews = useSettings((settings) => settings.previews);
  const showsResults = useSettings((settings) => settings.resultsInNodes);
  const isLive = isRunning && (preview !== null || plot !== null) && showsPreviews;
  if (isLive) {
    return (
      <>
        {plot !== null && <CardPlot card={card} plot={plot} />}
        {preview !== null && (
          <div className={styles.preview} data-grows>
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
  if (!showsResults) return null;
  const { name, title, spec } = card;
  return <CardResults name={name} title={title} width={width} isAwaited={showsPictures(spec)} />;
}

/** The plot of a node that runs, as it grows; a click shows it in full. */
function CardPlot({ card, plot }: { card: CardModel; plot: unknown }) {
  const place = usePlace();
  const props = { place, node: card.name, title: card.title };
  return (
    <button
      type="button"
      className={`${styles.plot} nodrag`}
      data-grows
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

export const NodeCard = memo(
  Card,
  (a, b) =>
    a.data === b.data && a.selected === b.selected && a.width === b.width && a.height === b.height,
);
