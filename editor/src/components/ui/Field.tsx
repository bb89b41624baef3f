import type { ReactNode } from "react";
import { cx } from "./cx";
import styles from "./Field.module.css";

interface FieldProps {
  readonly label: string;
  readonly id: string;
  readonly children: ReactNode;
  readonly help?: ReactNode;
  readonly error?: string | null | undefined;
  /** The label beside its control instead of above it. */
  readonly inline?: boolean;
  readonly className?: string | undefined;
}

/** A label, its control, what it means, and what is wrong with it. */
export function Field({ label, id, children, help, error, inline, className }: FieldProps) {
  return (
    <div className={cx(styles.row, inline && styles.inline, className)}>
      <div className={styles.text}>
        <label htmlFor={id} className={styles.label}>
          {label}
        </label>
        {help && (
          <p id={`${id}-help`} className={styles.help}>
            {help}
          </p>
        )}
      </div>
      <div className={styles.control}>{children}</div>
      {error && (
        <p id={`${id}-error`} role="alert" className={styles.error}>
          {error}
        </p>
      )}
    </div>
  );
}
