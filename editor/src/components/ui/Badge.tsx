import type { ReactNode } from "react";
import styles from "./Badge.module.css";
import { cx } from "./cx";

export type Tone = "neutral" | "accent" | "good" | "warn" | "bad" | "info" | "run" | "cached";

interface BadgeProps {
  readonly children: ReactNode;
  readonly tone?: Tone;
  readonly className?: string | undefined;
}

export function Badge({ children, tone = "neutral", className }: BadgeProps) {
  return <span className={cx(styles.badge, styles[tone], className)}>{children}</span>;
}
