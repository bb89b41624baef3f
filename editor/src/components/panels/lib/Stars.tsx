/** How good something is: one to five stars, or none. */
import { Star } from "lucide-react";
import { cx, tip } from "@/components/ui";
import { t } from "@/i18n";
import styles from "./Stars.module.css";

export const STARS = [1, 2, 3, 4, 5] as const;

interface Props {
  readonly value: number;
  /** The star that there is already takes them away. */
  readonly onChange: (stars: number) => void;
  readonly label?: string;
  readonly disabled?: boolean;
  /** Whether the digits 0 to 5 do the same, as the tip then says. */
  readonly hasKeys?: boolean;
  readonly className?: string | undefined;
}

export function Stars({ value, onChange, label, disabled, hasKeys, className }: Props) {
  return (
    <fieldset className={cx(styles.stars, className)} aria-label={label ?? t("library.stars")}>
      {STARS.map((star) => (
        <button
          key={star}
          type="button"
          disabled={disabled}
          className={styles.star}
          data-on={star <= value || undefined}
          aria-pressed={star === value}
          aria-label={t("library.starCount", { count: star })}
          {...tip(t("library.starCount", { count: star }), hasKeys ? String(star) : undefined)}
          onClick={() => onChange(star === value ? 0 : star)}
        >
          <Star aria-hidden size={15} />
        </button>
      ))}
    </fieldset>
  );
}
