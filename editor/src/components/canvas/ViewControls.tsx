/** Zoom, fit and the minimap, at the canvas' lower corner. */
import { Map as MapIcon, Maximize, Minus, Plus } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { IconButton, MenuButton } from "@/components/ui";
import { t } from "@/i18n";
import { setSetting, useSettings } from "@/store/settings";
import type { CanvasNode } from "./adapt";
import { fitAll, zoomBy, zoomTo } from "./controller";
import { Minimap } from "./Minimap";
import { type MovingView, SELDOM } from "./moving/movingView";
import styles from "./ViewControls.module.css";

const ZOOMS = [0.25, 0.5, 1, 1.5, 2];

interface ViewControlsProps {
  readonly view: MovingView;
  readonly nodes: readonly CanvasNode[];
}

export function ViewControls({ view, nodes }: ViewControlsProps) {
  const minimap = useSettings((settings) => settings.minimap);
  return (
    <div className={styles.corner}>
      {minimap && nodes.length > 0 && <Minimap view={view} nodes={nodes} />}
      <div className={styles.controls} role="toolbar" aria-label={t("canvas.view.label")}>
        <IconButton
          icon={MapIcon}
          label={t("canvas.view.minimap")}
          size="s"
          pressed={minimap}
          className={styles.minimap}
          onClick={() => setSetting("minimap", !minimap)}
        />
        <IconButton
          icon={Minus}
          label={t("canvas.view.zoomOut")}
          size="s"
          onClick={() => zoomBy(1 / 1.25)}
        />
        <ZoomLevel view={view} />
        <IconButton
          icon={Plus}
          label={t("canvas.view.zoomIn")}
          size="s"
          onClick={() => zoomBy(1.25)}
        />
        <IconButton
          icon={Maximize}
          label={t("canvas.view.fit")}
          size="s"
          onClick={() => fitAll()}
        />
      </div>
    </div>
  );
}

/** The number follows the view on the page; what says it is rendered where the view rests. */
function ZoomLevel({ view }: { readonly view: MovingView }) {
  const number = useRef<HTMLSpanElement>(null);
  const [percent, setPercent] = useState(() => percentOf(view));
  useEffect(() => {
    const show = () => {
      const now = percentOf(view);
      if (!view.isMoving) setPercent(now);
      const text = number.current?.firstChild;
      if (text instanceof Text && text.data !== words(now)) text.data = words(now);
    };
    show();
    return view.follow(show, SELDOM);
  }, [view]);
  const items = ZOOMS.map((zoom) => ({ label: `${zoom * 100} %`, run: () => zoomTo(zoom) }));
  return (
    <MenuButton
      items={items}
      label={t("canvas.view.zoom", { percent })}
      variant="ghost"
      size="s"
      className={styles.level}
      arrow={false}
    >
      <span ref={number}>{words(percent)}</span>
    </MenuButton>
  );
}

function percentOf(view: MovingView): number {
  return Math.round(view.sight.transform[2] * 100);
}

function words(percent: number): string {
  return `${percent} %`;
}
