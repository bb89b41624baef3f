import { WandSparkles } from "lucide-react";
import type { ArtifactEntry } from "@/api/schema";
import { cx, tip } from "@/components/ui";
import { t } from "@/i18n";
import { isReadable } from "./kinds";
import { openResultMenu } from "./menuState";
import styles from "./ResultButton.module.css";

interface Props {
  readonly artifact: ArtifactEntry;
  /** Of the graph that is shown, in whose card it is. */
  readonly node?: string;
  /** Lies in a corner of the picture. */
  readonly over?: boolean;
  readonly tabIndex?: number;
  readonly className?: string | undefined;
}

/** Opens what can be done with a result; nothing for what no node can read. */
export function ResultButton({ artifact, node, over = false, tabIndex, className }: Props) {
  if (!isReadable(artifact)) return null;
  return (
    <button
      type="button"
      className={cx(styles.button, over && styles.over, "nodrag", className)}
      tabIndex={tabIndex}
      aria-haspopup="menu"
      {...tip(t("results.heading"))}
      aria-label={t("results.menu", { name: artifact.name })}
      onClick={(event) => {
        event.stopPropagation();
        const box = event.currentTarget.getBoundingClientRect();
        openResultMenu(artifact, { x: box.left, y: box.bottom + 4 }, node);
      }}
    >
      <WandSparkles aria-hidden size={14} />
    </button>
  );
}
