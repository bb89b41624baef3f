import { cx } from "./cx";
import styles from "./Toggle.module.css";

interface ToggleProps {
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly id?: string | undefined;
  /** Its name where no <label> names it. */
  readonly label?: string | undefined;
  readonly disabled?: boolean | undefined;
  readonly describedBy?: string | undefined;
  readonly className?: string | undefined;
}

/** A switch is a button with a role: the kit's adds a hidden field to each, of which cards have many. */
export function Toggle({
  checked,
  onChange,
  id,
  label,
  disabled,
  describedBy,
  className,
}: ToggleProps) {
  return (
    <button
      type="button"
      role="switch"
      id={id}
      aria-checked={checked}
      aria-label={label}
      aria-describedby={describedBy}
      disabled={disabled}
      className={cx(styles.toggle, className)}
      onClick={() => onChange(!checked)}
    >
      <span className={styles.knob} />
    </button>
  );
}
