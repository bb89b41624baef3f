/** A card that is seen from afar: a place for mouse and keys, whose block is drawn with all others. */
import type { NodeProps } from "@xyflow/react";
import { CardRun } from "@/components/canvas/card/CardRun";
import { HEADER_HEIGHT } from "@/components/canvas/card/geometry";
import { stateOf } from "@/components/canvas/card/live";
import { linkingOf, useLinking } from "@/components/canvas/links/linking";
import { cx } from "@/components/ui";
import { useNodeFindings, useNodePlan } from "@/hooks/useNodePlan";
import { useNodeRun } from "@/hooks/useNodeRun";
import { showsPictures } from "@/model/sizes";
import type { CardNode } from "../adapt";
import { useCanvasView, usePlace } from "../view";
import styles from "./FarCard.module.css";
import { FarPicture } from "./FarPicture";

export function FarCard({ id, data, selected, height }: NodeProps<CardNode>) {
  const { card, collapsed } = data;
  const place = usePlace();
  const shown = useNodeRun(place, id);
  const plan = useNodePlan(place, id);
  const isFaulty = useNodeFindings(place, id).length > 0;
  const isFlashed = useCanvasView((view) => view.flash?.node === id);
  const isUnfit = useLinking((linking) => {
    const found = linkingOf(linking, id);
    return found !== null && found.fits === null && !found.isStart;
  });
  const state = stateOf(shown, plan, isFaulty);
  const isMarked = selected || isFlashed || isUnfit || state === "running" || state === "failed";
  return (
    <article
      className={cx(
        styles.card,
        selected && styles.selected,
        isFlashed && styles.flash,
        isUnfit && styles.unfit,
      )}
      style={{ height: collapsed ? HEADER_HEIGHT + 2 : height }}
      data-node={id}
      data-type={card.entry.type}
      data-state={state}
      data-detail={false}
      data-marked={isMarked || undefined}
    >
      <CardRun run={shown.run} state={state} far />
      {!collapsed && showsPictures(card.spec) && <FarPicture name={card.name} />}
    </article>
  );
}
