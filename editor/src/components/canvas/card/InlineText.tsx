/** A text that becomes a field on double click or Enter. */
import { type KeyboardEvent, type ReactNode, useRef, useState } from "react";
import { cx } from "@/components/ui";
import styles from "./InlineText.module.css";

interface InlineTextProps {
  readonly text: string;
  readonly label: string;
  readonly placeholder?: string;
  readonly onCommit: (text: string) => void;
  readonly className?: string | undefined;
  readonly multiline?: boolean;
  /** What is shown instead of the plain text. */
  readonly children?: ReactNode;
  /** Whether there are links among it, which no button may hold. */
  readonly hasLinks?: boolean;
}

export function InlineText(props: InlineTextProps) {
  const { text, label, placeholder = "", onCommit, className, multiline = false } = props;
  const [isEdited, setEdited] = useState(false);
  if (isEdited) {
    return (
      <InlineField
        text={text}
        label={label}
        placeholder={placeholder}
        className={className}
        multiline={multiline}
        onCommit={onCommit}
        onEnd={() => setEdited(false)}
      />
    );
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions lint/a11y/useAriaPropsSupportedByRole: a button, or a group if there are links in it
    <div
      role={props.hasLinks ? "group" : "button"}
      tabIndex={0}
      className={cx(styles.text, multiline && styles.multiline, className)}
      aria-label={`${label}: ${text || placeholder}`}
      onDoubleClick={(event) => {
        event.stopPropagation();
        setEdited(true);
      }}
      onKeyDown={(event) => {
        if (event.key !== "Enter" || event.target !== event.currentTarget) return;
        event.stopPropagation();
        event.preventDefault();
        setEdited(true);
      }}
    >
      {text ? (props.children ?? text) : <span className={styles.placeholder}>{placeholder}</span>}
    </div>
  );
}

interface InlineFieldProps extends Omit<InlineTextProps, "children" | "hasLinks"> {
  readonly onEnd: () => void;
}

/** The field itself: Enter and leaving it keep what was written, Escape doesn't. */
export function InlineField(props: InlineFieldProps) {
  const { text, label, placeholder, className, multiline = false, onCommit, onEnd } = props;
  const [draft, setDraft] = useState(text);
  const isCancelled = useRef(false);
  const press = (event: KeyboardEvent<HTMLElement>) => {
    event.stopPropagation();
    if (event.key === "Escape") isCancelled.current = true;
    if (
      event.key === "Escape" ||
      (event.key === "Enter" && (!multiline || event.ctrlKey || event.metaKey))
    ) {
      event.preventDefault();
      event.currentTarget.blur();
    }
  };
  const field = {
    value: draft,
    "aria-label": label,
    placeholder,
    className: cx(styles.field, multiline && styles.multiline, className, "nodrag", "nopan"),
    onBlur: () => {
      if (draft !== text && !isCancelled.current) onCommit(draft);
      onEnd();
    },
    onDoubleClick: (event: { stopPropagation: () => void }) => event.stopPropagation(),
    onKeyDown: press,
    // The field appears because somebody asked to type in it.
    ref: focusAndSelect,
  };
  if (multiline) return <textarea {...field} onChange={(event) => setDraft(event.target.value)} />;
  return <input {...field} onChange={(event) => setDraft(event.target.value)} />;
}

function focusAndSelect(field: HTMLInputElement | HTMLTextAreaElement | null): void {
  if (field === null || document.activeElement === field) return;
  field.focus({ preventScroll: true });
  field.select();
}
