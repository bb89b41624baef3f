import { LoaderCircle } from "lucide-react";
import { cx } from "./cx";
import styles from "./Progress.module.css";

interface ProgressProps {
  /** 0 to 1, or null when it isn't known. */
  readonly value: number | null;
  readonly label: string;
  readonly tone?: "run" | "good" | "bad";
  readonly className?: string | undefined;
}

export function Progress({ value, label, tone = "run", className }: ProgressProps) {
  const share = value === null ? null : Math.min(1, Math.max(0, value));
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      // Rounded down: what isn't done yet is never at 100.
      aria-valuenow={share === null ? undefined : Math.floor(share * 100 + 1e-6)}
      className={cx(styles.track, styles[tone], className)}
    >
      <div
        className={cx(styles.bar, share === null && styles.unknown)}
        style={share === null ? undefined : { transform: `scaleX(${share})` }}
      />
    </div>
  );
}

export function Spinner({ label, size = 16 }: { readonly label: string; readonly size?: number }) {
  return (
    <span role="status" aria-label={label} className={styles.spinner}>
      <LoaderCircle aria-hidden size={size} />
    </span>
  );
}
