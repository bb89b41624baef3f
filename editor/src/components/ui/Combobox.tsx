import { Check, ChevronDown } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { t } from "@/i18n";
import { cx } from "./cx";
import { matching, type Option } from "./options";
import { Popover } from "./Popover";
import styles from "./Select.module.css";
import { SearchField } from "./TextField";

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

/** A button that opens a list with a search in it. */
export function Combobox(props: ComboboxProps) {
  const { value, onChange, options, id, label, placeholder, disabled, invalid } = props;
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
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
        <Popover
          anchor={button.current}
          onClose={() => setOpen(false)}
          label={label ?? t("ui.choose")}
        >
          <Choices
            {...props}
            width={button.current.offsetWidth}
            onChoose={(next) => {
              setOpen(false);
              if (next !== value) onChange(next);
            }}
          />
        </Popover>
      )}
    </span>
  );
}

interface ChoicesProps extends ComboboxProps {
  readonly width: number;
  readonly onChoose: (value: string) => void;
}

function Choices({ value, options, label, allowCustom, width, onChoose }: ChoicesProps) {
  const [query, setQuery] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const found = useMemo(() => offered(options, query, allowCustom), [options, query, allowCustom]);
  const start = Math.max(
    0,
    found.findIndex((option) => option.value === value),
  );
  const [active, setActive] = useState(start);
  useEffect(() => {
    list.current?.querySelector("[data-active=true]")?.scrollIntoView?.({ block: "nearest" });
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const option = found[active];
    if (event.key === "ArrowDown") setActive(Math.min(found.length - 1, active + 1));
    else if (event.key === "ArrowUp") setActive(Math.max(0, active - 1));
    else if (event.key === "Enter" && option && !option.disabled) onChoose(option.value);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className={styles.popup} style={{ "--anchor-width": `${width}px` } as React.CSSProperties}>
      <div className={styles.query}>
        <SearchField
          autoFocus
          value={query}
          label={t("ui.search")}
          onChange={(text) => {
            setQuery(text);
            setActive(0);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div ref={list} role="listbox" aria-label={label ?? t("ui.choose")} className={styles.list}>
        {found.map((option, index) => (
          <Choice
            key={option.value}
            id={`${id}-${index}`}
            option={option}
            heading={option.group !== found[index - 1]?.group ? option.group : undefined}
            isActive={index === active}
            isChosen={option.value === value}
            onPoint={() => setActive(index)}
            onChoose={onChoose}
          />
        ))}
        {found.length === 0 && <div className={styles.none}>{t("ui.nothingFound")}</div>}
      </div>
    </div>
  );
}

function offered(options: readonly Option[], query: string, custom = false): readonly Option[] {
  const found = matching(options, query);
  const typed = query.trim();
  const isNew = typed !== "" && !options.some((option) => option.value === typed);
  return custom && isNew
    ? [...found, { value: typed, label: t("ui.useTyped", { text: typed }) }]
    : found;
}

interface ChoiceProps {
  readonly id: string;
  readonly option: Option;
  readonly heading: string | undefined;
  readonly isActive: boolean;
  readonly isChosen: boolean;
  readonly onPoint: () => void;
  readonly onChoose: (value: string) => void;
}

function Choice({ id, option, heading, isActive, isChosen, onPoint, onChoose }: ChoiceProps) {
  return (
    <>
      {heading && (
        <div role="presentation" className={styles.group}>
          {heading}
        </div>
      )}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/useFocusableInteractive: the search field has the focus and moves through the options */}
      <div
        id={id}
        role="option"
        aria-selected={isChosen}
        aria-disabled={option.disabled}
        data-active={isActive}
        className={styles.option}
        onPointerMove={onPoint}
        onClick={() => option.disabled || onChoose(option.value)}
      >
        {option.picture && (
          <img src={option.picture} alt="" loading="lazy" className={styles.picture} />
        )}
        <span className={styles.text}>
          {option.label}
          {option.hint && <div className={styles.hint}>{option.hint}</div>}
        </span>
        {isChosen && <Check aria-hidden size={14} className={styles.check} />}
      </div>
    </>
  );
}
