import { ChevronDown } from "lucide-react";
import { cx } from "./cx";
import type { Option } from "./options";
import styles from "./Select.module.css";

interface SelectProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly options: readonly Option[];
  readonly id?: string | undefined;
  readonly label?: string | undefined;
  readonly disabled?: boolean | undefined;
  readonly invalid?: boolean | undefined;
  readonly describedBy?: string | undefined;
  readonly className?: string | undefined;
}

/**
 * The browser's own list, for a handful of options: best on touch and with screen readers, and
 * typed letters choose while it is closed. More options are a Combobox, which has a search.
 *
 * Not the kit's: a graph shows hundreds of these before the kit is there, and one that changed into
 * the kit's as somebody begins to type would lose the focus.
 */
export function Select(props: SelectProps) {
  const { value, onChange, options, id, label, disabled, invalid, describedBy, className } = props;
  const chosen = options.find((option) => option.value === value)?.label ?? value;
  return (
    <span className={cx(styles.wrap, className)}>
      <select
        id={id}
        value={value}
        disabled={disabled}
        aria-label={label}
        aria-invalid={invalid || undefined}
        aria-describedby={describedBy}
        className={styles.select}
        onChange={(event) => onChange(event.target.value)}
      >
        {!options.some((option) => option.value === value) && (
          <option value={value}>{value}</option>
        )}
        {options.map((option) => (
          <option key={option.value} value={option.value} disabled={option.disabled}>
            {option.label}
          </option>
        ))}
      </select>
      <span aria-hidden className={cx(styles.still, disabled && styles.off)} data-still={chosen} />
      <ChevronDown aria-hidden size={14} className={styles.arrow} />
    </span>
  );
}
