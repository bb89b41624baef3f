import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import styles from "./EmptyState.module.css";

interface EmptyStateProps {
  readonly title: string;
  readonly icon?: LucideIcon;
  /** What to do about it: a sentence, buttons. */
  readonly children?: ReactNode;
}

export function EmptyState({ title, icon: Icon, children }: EmptyStateProps) {
  return (
    <div className={styles.empty}>
      {Icon && <Icon aria-hidden size={26} strokeWidth={1.5} className={styles.icon} />}
      <p className={styles.title}>{title}</p>
      {children && <div className={styles.text}>{children}</div>}
    </div>
  );
}
