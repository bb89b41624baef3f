import type { LucideIcon } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useId, useRef } from "react";
import { cx } from "./cx";
import styles from "./Tabs.module.css";

interface TabInfo {
  readonly id: string;
  readonly label: string;
  readonly icon?: LucideIcon;
  readonly badge?: ReactNode;
}

interface TabsProps {
  readonly tabs: readonly TabInfo[];
  readonly active: string;
  readonly onChange: (id: string) => void;
  readonly label: string;
  /** The panel of the active tab. */
  readonly children?: ReactNode;
  /** Beside the tabs, at their end. */
  readonly end?: ReactNode;
  readonly vertical?: boolean;
  readonly className?: string | undefined;
}

export function Tabs(props: TabsProps) {
  const { tabs, active, onChange, label, children, end, vertical = false, className } = props;
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const onKeyDown = (event: KeyboardEvent) => {
    const now = tabs.findIndex((tab) => tab.id === active);
    const [back, forth] = vertical ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"];
    const next =
      event.key === forth
        ? (now + 1) % tabs.length
        : event.key === back
          ? (now - 1 + tabs.length) % tabs.length
          : event.key === "Home"
            ? 0
            : event.key === "End"
              ? tabs.length - 1
              : null;
    const tab = next === null ? undefined : tabs[next];
    if (!tab) return;
    event.preventDefault();
    onChange(tab.id);
    list.current?.querySelectorAll<HTMLElement>("[role=tab]")[next ?? 0]?.focus();
  };
  return (
    <div className={cx(styles.tabs, vertical && styles.vertical, className)}>
      <div className={styles.bar}>
        <div
          ref={list}
          role="tablist"
          aria-label={label}
          aria-orientation={vertical ? "vertical" : "horizontal"}
          className={styles.list}
          onKeyDown={onKeyDown}
        >
          {tabs.map((tab) => (
            <button
              key={tab.id}
              type="button"
              role="tab"
              id={`${id}-${tab.id}`}
              aria-selected={tab.id === active}
              aria-controls={children === undefined ? undefined : `${id}-panel`}
              tabIndex={tab.id === active ? 0 : -1}
              className={styles.tab}
              onClick={() => onChange(tab.id)}
            >
              {tab.icon && <tab.icon aria-hidden size={14} />}
              {tab.label}
              {tab.badge}
            </button>
          ))}
        </div>
        {end}
      </div>
      {children !== undefined && (
        <div
          role="tabpanel"
          id={`${id}-panel`}
          aria-labelledby={`${id}-${active}`}
          className={styles.panel}
        >
          {children}
        </div>
      )}
    </div>
  );
}
