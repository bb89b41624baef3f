/** The fields of a card, one for each input that isn't linked. */
import { memo } from "react";
import type { Finding } from "@/api/schema";
import type { CardLinking } from "@/components/canvas/links/linking";
import { cx } from "@/components/ui";
import { WidgetField } from "@/components/widgets/WidgetField";
import { t } from "@/i18n";
import { holdsPicture } from "@/model/sizes";
import { useUi } from "@/store/ui";
import { problemOf } from "./CardPorts";
import styles from "./CardWidgets.module.css";
import type { CardModel } from "./card";

interface WidgetsProps {
  readonly card: CardModel;
  readonly findings: readonly Finding[];
  readonly linking: CardLinking;
}

export const CardWidgets = memo(function CardWidgets({ card, findings, linking }: WidgetsProps) {
  if (card.widgets.length === 0 && card.hidden === 0) return null;
  return (
    <div className={cx(styles.widgets, card.widgets.some(holdsPicture) && styles.stretches)}>
      {card.widgets.map((input) => (
        <div
          key={input.name}
          className={cx(
            styles.row,
            "nodrag",
            "nopan",
            problemOf(findings, input.name) !== null && styles.wrong,
            linking?.side === "input" && linking.fits?.has(input.name) && styles.fits,
          )}
          data-input={input.name}
          data-picture={holdsPicture(input) || undefined}
        >
          <WidgetField node={card.name} input={input} />
        </div>
      ))}
      {card.hidden > 0 && (
        <button
          type="button"
          className={`${styles.more} nodrag`}
          tabIndex={-1}
          onClick={() => useUi.getState().showPanel("right", "inspector")}
        >
          {t("canvas.card.more", { count: card.hidden })}
        </button>
      )}
    </div>
  );
});
