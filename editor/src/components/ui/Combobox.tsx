import { ChevronDown } from "lucide-react";
import { useId, useRef, useState } from "react";
import { t } from "@/i18n";
import { cx } from "./cx";
import { late } from "./late";
import type { Option } from "./options";
import styles from "./Select.module.css";

const ComboboxPopup = late((kit) => kit.ComboboxPopup);

export interface ComboboxProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly options: readonly Option[];
  readonly id?: string | undefined;
  readonly label?: string | undefined;
  readonly placeholder?: string | undefined;
  readonly disabled?: boolean | undefined;
  readonly invalid?: boolean | undefined;
  readonly describedBy?: string | undefined;
  /** What is typed may be taken though no option is like it. */
  readonly allowCustom?: boolean | undefined;
  readonly className?: string | undefined;
}

/**
 * A button that opens a list with a search in it.
 *
 * Only the list is the kit's: a graph has hundreds of these buttons, and a page that nobody has
 * touched yet shows them without the kit.
 */
export function Combobox(props: ComboboxProps) {
  const { value, onChange, options, id, label, placeholder, disabled, invalid } = props;
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const list = useId();
  const chosen = options.find((option) => option.value === value);
  const name = chosen?.label ?? value;
  return (
    <span className={cx(styles.wrap, props.className)}>
      <button
        ref={button}
        id={id}
        type="button"
        role="combobox"
        aria-label={label === undefined ? undefined : `${label}: ${name}`}
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-controls={open ? list : undefined}
        aria-invalid={invalid || undefined}
        aria-describedby={props.describedBy}
        disabled={disabled}
        className={styles.button}
        onClick={() => setOpen(!open)}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
          event.preventDefault();
          setOpen(true);
        }}
      >
        <span className={cx(styles.chosen, name === "" && styles.placeholder)}>
          {name === "" ? (placeholder ?? t("ui.choose")) : name}
        </span>
      </button>
      <ChevronDown aria-hidden size={14} className={styles.arrow} />
      {open && button.current && (
        <ComboboxPopup
          id={list}
          anchor={button.current}
          value={value}
          options={options}
          label={label ?? t("ui.choose")}
          allowCustom={props.allowCustom ?? false}
          onClose={() => setOpen(false)}
          onChoose={(next) => {
            setOpen(false);
            if (next !== value) onChange(next);
          }}
        />
      )}
    </span>
  );
}
