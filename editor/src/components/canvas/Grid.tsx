/** The grid behind the cards. It follows the view by hand: no rendering while the canvas moves. */
import { useEffect, useRef } from "react";
import { useSettings } from "@/store/settings";
import styles from "./Grid.module.css";
import { type MovingView, wholePixels } from "./moving/movingView";

/** Points closer together than this would be a grey veil. */
const LEAST_GAP = 14;
/** As the grid is painted; it is scaled from this. */
const GAP = 20;

export function Grid({ view }: { readonly view: MovingView }) {
  const ref = useRef<HTMLDivElement>(null);
  const kind = useSettings((settings) => settings.grid);
  const size = useSettings((settings) => settings.gridSize);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return undefined;
    let last: readonly number[] = [];
    const draw = () => {
      const { transform } = view.sight;
      if (transform === last) return;
      last = transform;
      place(element, transform, size);
    };
    draw();
    const stops = [view.addLayer(element), view.follow(draw)];
    return () => {
      for (const stop of stops) stop();
    };
  }, [view, size]);
  if (kind === "none") return null;
  return (
    <div className={styles.frame} aria-hidden="true">
      <div ref={ref} className={styles.grid} data-kind={kind} />
    </div>
  );
}

/** By its transform alone, which no part of the page has to be painted for. */
function place(
  element: HTMLElement,
  [x, y, zoom]: readonly [number, number, number],
  size: number,
): void {
  let gap = size * zoom;
  while (gap < LEAST_GAP) gap *= 2;
  while (gap > 2 * LEAST_GAP) gap /= 2;
  const scale = gap / GAP;
  element.style.transform = `translate(${offset(x, gap)}px, ${offset(y, gap)}px) scale(${scale})`;
}

function offset(value: number, gap: number): number {
  return wholePixels((((value % gap) + gap) % gap) - gap);
}
