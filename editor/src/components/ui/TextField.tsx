import { Search, X } from "lucide-react";
import {
  type ComponentProps,
  type InputHTMLAttributes,
  type KeyboardEvent,
  type ReactNode,
  type Ref,
  type TextareaHTMLAttributes,
  useLayoutEffect,
  useRef,
} from "react";
import { t } from "@/i18n";
import { TALLEST_TEXT } from "@/model/sizes";
import { IconButton } from "./Button";
import { cx } from "./cx";
import styles from "./TextField.module.css";

interface TextFieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "onChange" | "value"> {
  readonly value: string;
  readonly onChange: (value: string) => void;
  /** Enter, or leaving the field. */
  readonly onCommit?: ((value: string) => void) | undefined;
  readonly invalid?: boolean | undefined;
  readonly label?: string | undefined;
  readonly ref?: Ref<HTMLInputElement>;
}

export function TextField(props: TextFieldProps) {
  const { onChange, onCommit, invalid, label, className, ...rest } = props;
  return (
    <input
      type="text"
      autoComplete="off"
      spellCheck={false}
      aria-label={label}
      {...rest}
      aria-invalid={invalid || undefined}
      className={cx(styles.field, className)}
      onChange={(event) => onChange(event.target.value)}
      onBlur={(event) => {
        rest.onBlur?.(event);
        onCommit?.(event.target.value);
      }}
      onKeyDown={(event) => {
        rest.onKeyDown?.(event);
        if (event.key === "Enter") onCommit?.(event.currentTarget.value);
      }}
    />
  );
}

interface TextAreaProps
  extends Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "onChange" | "value"> {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly onCommit?: ((value: string) => void) | undefined;
  readonly invalid?: boolean | undefined;
  readonly label?: string | undefined;
  /** Grows with its text up to twelve lines. */
  readonly autoGrow?: boolean;
  readonly ref?: Ref<HTMLTextAreaElement>;
}

export function TextArea(props: TextAreaProps) {
  const { onChange, onCommit, invalid, label, autoGrow, className, ref, ...rest } = props;
  const own = useRef<HTMLTextAreaElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text
  useLayoutEffect(() => {
    if (autoGrow && own.current) fitHeight(own.current);
  }, [autoGrow, rest.value]);
  return (
    <textarea
      rows={3}
      aria-label={label}
      {...rest}
      ref={(element) => {
        own.current = element;
        if (typeof ref === "function") ref(element);
        else if (ref) ref.current = element;
      }}
      aria-invalid={invalid || undefined}
      className={cx(styles.field, styles.area, className)}
      onChange={(event) => onChange(event.target.value)}
      onBlur={(event) => {
        rest.onBlur?.(event);
        onCommit?.(event.target.value);
      }}
    />
  );
}

function fitHeight(area: HTMLTextAreaElement): void {
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight + 2, TALLEST_TEXT)}px`;
}

interface SearchProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly label: string;
  readonly placeholder?: string;
  readonly autoFocus?: boolean;
  readonly className?: string | undefined;
  readonly onKeyDown?: (event: KeyboardEvent<HTMLInputElement>) => void;
  readonly ref?: Ref<HTMLInputElement>;
  /** Draws the field itself, where it is a part of something else. */
  readonly input?: (field: ComponentProps<"input">) => ReactNode;
}

const AUTOFOCUS = { "data-autofocus": "" };

/** A field to search with; Escape clears it first. */
export function SearchField(props: SearchProps) {
  const { value, onChange, label, placeholder, autoFocus, className, onKeyDown, ref } = props;
  const { input = (field) => <input {...field} /> } = props;
  return (
    <div className={cx(styles.search, className)}>
      <Search aria-hidden size={14} className={styles.lens} />
      {input({
        ref,
        type: "search",
        autoComplete: "off",
        spellCheck: false,
        "aria-label": label,
        placeholder: placeholder ?? label,
        value,
        ...(autoFocus ? AUTOFOCUS : {}),
        className: styles.field,
        onChange: (event) => onChange(event.target.value),
        onKeyDown: (event) => {
          onKeyDown?.(event);
          if (event.key !== "Escape" || value === "" || event.defaultPrevented) return;
          event.preventDefault();
          event.stopPropagation();
          onChange("");
        },
      })}
      {value !== "" && (
        <IconButton icon={X} size="s" label={t("ui.clear")} onClick={() => onChange("")} />
      )}
    </div>
  );
}
