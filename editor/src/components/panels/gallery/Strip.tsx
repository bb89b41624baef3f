import { ArrowLeft, ArrowRight } from "lucide-react";
import { useEffect, useMemo, useRef } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { begin, end } from "@/components/results/dragging";
import { IconButton } from "@/components/ui";
import { t } from "@/i18n";
import styles from "../Viewer.module.css";
import { keyOf } from "./actions";
import { Thumbnail } from "./Thumbnail";

/** Files of the strip on each side of the one shown. */
const AROUND = 15;

interface StripProps {
  readonly items: readonly ArtifactEntry[];
  readonly index: number;
  readonly other: number | null;
  readonly onGo: (step: number) => void;
  readonly onChoose: (index: number) => void;
}

/** Those around the one shown, small. */
export function Strip({ items, index, other, onGo, onChoose }: StripProps) {
  const at = other ?? index;
  const from = Math.max(0, at - AROUND);
  const around = useMemo(() => items.slice(from, at + AROUND + 1), [items, from, at]);
  const current = useRef<HTMLButtonElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever another one is current
  useEffect(() => {
    current.current?.scrollIntoView?.({ inline: "center", block: "nearest" });
  }, [at]);
  return (
    <div className={styles.strip}>
      <IconButton icon={ArrowLeft} label={t("panels.viewer.newer")} onClick={() => onGo(-1)} />
      <fieldset className={styles.around} aria-label={t("panels.viewer.others")}>
        {around.map((item, offset) => {
          const place = from + offset;
          return (
            <button
              key={keyOf(item)}
              ref={place === at ? current : undefined}
              type="button"
              tabIndex={place === at ? 0 : -1}
              aria-current={place === index}
              data-other={place === other || undefined}
              aria-label={item.name}
              onClick={() => onChoose(place)}
              draggable
              onDragStart={(event) => begin(event, item)}
              onDragEnd={end}
            >
              <Thumbnail artifact={item} size={128} />
            </button>
          );
        })}
      </fieldset>
      <span className={styles.count}>
        {at + 1} / {items.length}
      </span>
      <IconButton icon={ArrowRight} label={t("panels.viewer.older")} onClick={() => onGo(1)} />
    </div>
  );
}
