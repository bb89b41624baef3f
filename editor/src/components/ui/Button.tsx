import type { LucideIcon } from "lucide-react";
import type { ButtonHTMLAttributes, Ref } from "react";
import styles from "./Button.module.css";
import { cx } from "./cx";
import { tip } from "./tip";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly variant?: "primary" | "secondary" | "ghost" | "danger";
  readonly size?: "m" | "s";
  readonly icon?: LucideIcon | undefined;
  readonly busy?: boolean;
  readonly ref?: Ref<HTMLButtonElement>;
}

export function Button(props: ButtonProps) {
  const {
    variant = "secondary",
    size = "m",
    icon: Icon,
    busy,
    className,
    children,
    ...rest
  } = props;
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled === true || busy === true}
      aria-busy={busy}
      className={cx(styles.button, styles[variant], styles[size], className)}
    >
      {Icon && <Icon aria-hidden size={size === "s" ? 14 : 15} />}
      {children}
    </button>
  );
}

export interface IconButtonProps
  extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "aria-label" | "children"> {
  readonly icon: LucideIcon;
  /** Its name, also shown as the tooltip. */
  readonly label: string;
  readonly size?: "m" | "s";
  readonly pressed?: boolean | undefined;
  /** A chord shown in the tooltip. */
  readonly keys?: string | undefined;
  readonly danger?: boolean;
  readonly ref?: Ref<HTMLButtonElement>;
}

export function IconButton(props: IconButtonProps) {
  const { icon: Icon, label, size = "m", pressed, keys, danger, className, ...rest } = props;
  return (
    <button
      type="button"
      {...tip(label, keys)}
      {...rest}
      aria-label={label}
      aria-pressed={pressed}
      className={cx(styles.icon, styles[size], danger && styles.harmful, className)}
    >
      <Icon aria-hidden size={size === "s" ? 14 : 16} />
    </button>
  );
}
