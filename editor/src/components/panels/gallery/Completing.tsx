/** A field with proposals under it, which arrows and Enter choose from. */
import { type KeyboardEvent, useId, useRef, useState } from "react";
import { Popover } from "@/components/ui";
import styles from "@/components/ui/Proposals.module.css";
import { t } from "@/i18n";

export interface Proposal {
  readonly value: string;
  readonly label: string;
  readonly hint?: string | undefined;
}

interface Props {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly proposals: readonly Proposal[];
  /** One of them was chosen. */
  readonly onTake: (proposal: Proposal) => void;
  /** Enter, with none of them chosen. */
  readonly onEnter?: (() => void) | undefined;
  /** Backspace at the beginning. */
  readonly onBack?: (() => void) | undefined;
  readonly id?: string | undefined;
  readonly label: string;
  readonly placeholder?: string | undefined;
  readonly type?: "text" | "search";
  readonly className?: string | undefined;
}

export function Completing(props: Props) {
  const { value, onChange, proposals, onTake, onEnter, onBack, label } = props;
  const field = useRef<HTMLInputElement>(null);
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const id = useId();
  const isShown = isOpen && proposals.length > 0;
  const close = () => {
    setOpen(false);
    setActive(-1);
  };
  const take = (proposal: Proposal) => {
    onTake(proposal);
    setActive(-1);
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    const { key, ctrlKey, metaKey, altKey } = event;
    if (ctrlKey || metaKey || altKey || event.nativeEvent.isComposing) return;
    const chosen = isShown ? proposals[active] : undefined;
    const count = proposals.length;
    if (key === "ArrowDown" && count > 0) {
      setOpen(true);
      setActive((active + 1) % count);
    } else if (key === "ArrowUp" && isShown) setActive(active <= 0 ? count - 1 : active - 1);
    else if ((key === "Enter" || key === "Tab") && chosen !== undefined) take(chosen);
    else if (key === "Enter" && onEnter !== undefined) onEnter();
    else if (key === "Escape" && isShown) close();
    else if (key === "Escape" && value !== "") onChange("");
    else if (key === "Backspace" && field.current?.selectionEnd === 0 && onBack) onBack();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <>
      <input
        ref={field}
        id={props.id}
        type={props.type ?? "text"}
        aria-autocomplete="list"
        aria-controls={isShown ? id : undefined}
        aria-activedescendant={isShown && active >= 0 ? `${id}-${active}` : undefined}
        aria-label={label}
        placeholder={props.placeholder ?? label}
        autoComplete="off"
        spellCheck={false}
        className={props.className}
        value={value}
        onChange={(event) => {
          onChange(event.target.value);
          setOpen(true);
          setActive(-1);
        }}
        onKeyDown={onKeyDown}
        onBlur={close}
      />
      {isShown && field.current && (
        <Popover anchor={field.current} takesFocus={false} onClose={close} label={label}>
          <div id={id} role="listbox" aria-label={t("library.proposals")} className={styles.list}>
            {proposals.map((proposal, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/useFocusableInteractive: the field keeps the focus and moves through the options
              <div
                key={proposal.value}
                id={`${id}-${index}`}
                role="option"
                aria-selected={index === active}
                className={styles.option}
                // Before the field would lose the focus.
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => take(proposal)}
              >
                <span className={styles.text}>{proposal.label}</span>
                {proposal.hint && <small>{proposal.hint}</small>}
              </div>
            ))}
          </div>
        </Popover>
      )}
    </>
  );
}
