import { Tabs } from "@base-ui/react/tabs";
import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "../cx";
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

export function TabbedPart(props: TabsProps) {
  const { tabs, active, onChange, label, children, end, vertical = false, className } = props;
  return (
    <Tabs.Root
      value={active}
      onValueChange={(id: string) => onChange(id)}
      orientation={vertical ? "vertical" : "horizontal"}
      className={cx(styles.tabs, vertical && styles.vertical, className)}
    >
      <div className={styles.bar}>
        <Tabs.List activateOnFocus aria-label={label} className={styles.list}>
          {tabs.map((tab) => (
            <Tabs.Tab key={tab.id} value={tab.id} className={styles.tab}>
              {tab.icon && <tab.icon aria-hidden size={14} />}
              {tab.label}
              {tab.badge}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {end}
      </div>
      {children !== undefined && (
        <Tabs.Panel value={active} className={styles.panel}>
          {children}
        </Tabs.Panel>
      )}
    </Tabs.Root>
  );
}
