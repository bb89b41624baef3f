/** The star of a node type: filled if it is a favourite; a click changes that. */
import { Star as StarIcon } from "lucide-react";
import type { KeyboardEvent, MouseEvent } from "react";
import { IconButton, tip } from "@/components/ui";
import { t } from "@/i18n";
import { labelOf, type NodeSpec } from "@/model/spec";
import { toggleFavourite, useFavourites } from "@/store/favourites";
import styles from "./Star.module.css";

/** The key that does the same for the row that the keys mean. */
export const STAR_KEY = "mod+d";

export function isStarKey({ key, ctrlKey, metaKey }: KeyboardEvent): boolean {
  return key.toLowerCase() === "d" && (ctrlKey || metaKey);
}

interface Props {
  readonly spec: NodeSpec;
  readonly onToggle: () => void;
}

/** Within a row of a list box, which may hold no button: the key stands for it. */
export function Star({ spec, onToggle }: Props) {
  const { isOn, words } = useStar(spec);
  const onClick = (event: MouseEvent) => {
    event.stopPropagation();
    onToggle();
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/noStaticElementInteractions: the field has the keys
    <span
      aria-hidden
      data-star={isOn}
      className={styles.star}
      onClick={onClick}
      {...tip(words, STAR_KEY)}
    >
      <StarIcon size={14} fill={isOn ? "currentColor" : "none"} />
    </span>
  );
}

export function StarButton({ spec }: { readonly spec: NodeSpec }) {
  const { isOn, words } = useStar(spec);
  return (
    <IconButton
      icon={StarIcon}
      size="s"
      tabIndex={-1}
      label={words}
      keys={STAR_KEY}
      pressed={isOn}
      className={styles.button ?? ""}
      onClick={() => toggleFavourite(spec.type)}
    />
  );
}

function useStar(spec: NodeSpec): { readonly isOn: boolean; readonly words: string } {
  const isOn = useFavourites(({ types }) => types.includes(spec.type));
  const key = isOn ? "panels.favourite.remove" : "panels.favourite.add";
  return { isOn, words: t(key, { label: labelOf(spec) }) };
}
