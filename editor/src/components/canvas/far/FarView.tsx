/** The graph as it is seen from afar: one drawing behind the cards, which follows the view. */
import { useEffect, useMemo, useRef } from "react";
import { useSettings } from "@/store/settings";
import { boxOf, type CanvasEdge, type CanvasNode } from "../adapt";
import { boundsOf } from "../card/geometry";
import type { MovingView } from "../moving/movingView";
import { Drawing } from "./drawing";
import styles from "./FarView.module.css";
import { linesByColor } from "./links";
import { onFarPictures } from "./pictures";

interface FarViewProps {
  readonly view: MovingView;
  readonly nodes: readonly CanvasNode[];
  readonly edges: readonly CanvasEdge[];
}

export function FarView({ view, nodes, edges }: FarViewProps) {
  const frame = useRef<HTMLDivElement>(null);
  const style = useSettings((settings) => settings.linkStyle);
  const links = useMemo(() => linesByColor(nodes, edges, style), [nodes, edges, style]);
  const drawing = useRef<Drawing | null>(null);
  useEffect(() => {
    const [whole, part] = frame.current?.querySelectorAll("canvas") ?? [];
    if (!whole || !part) return undefined;
    const made = new Drawing({ canvas: whole, drawn: null }, { canvas: part, drawn: null });
    drawing.current = made;
    const follow = () => made.show(view.sight, view.isMoving);
    follow();
    const stops = [
      view.addLayer(whole),
      view.addLayer(part),
      view.follow(follow),
      onFarPictures(() => made.refresh()),
    ];
    const themes = new MutationObserver(() => made.refresh());
    themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      for (const stop of stops) stop();
      themes.disconnect();
      made.end();
      drawing.current = null;
    };
  }, [view]);
  useEffect(() => {
    const boxes = nodes.map(boxOf);
    const bounds = boundsOf(links.bounds === null ? boxes : [...boxes, links.bounds]);
    drawing.current?.take({ nodes, lines: links.lines }, bounds, edges.length);
  }, [nodes, links, edges]);
  return (
    <div ref={frame} className={styles.frame} aria-hidden="true" data-far-view>
      <canvas className={styles.view} />
      <canvas className={styles.view} hidden />
    </div>
  );
}
