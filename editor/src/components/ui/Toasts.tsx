import { CircleAlert, CircleCheck, Info, type LucideIcon, TriangleAlert, X } from "lucide-react";
import { useEffect, useRef } from "react";
import { t } from "@/i18n";
import { Button, IconButton } from "./Button";
import { cx } from "./cx";
import { Progress } from "./Progress";
import styles from "./Toasts.module.css";

export interface Toast {
  readonly id: number | string;
  readonly kind: "info" | "success" | "warning" | "error";
  readonly title: string;
  readonly detail?: string | undefined;
  readonly action?: { readonly label: string; readonly run: () => void } | undefined;
  readonly progress?: number | null | undefined;
}

interface ToastsProps {
  readonly items: readonly Toast[];
  /** Pixels that they stand higher than usual. */
  readonly lift?: number | undefined;
  readonly onDismiss: (id: Toast["id"]) => void;
  /** The pointer or the focus is on one: it should stay. */
  readonly onHold?: ((id: Toast["id"], held: boolean) => void) | undefined;
}

const ICONS: Readonly<Record<Toast["kind"], LucideIcon>> = {
  info: Info,
  success: CircleCheck,
  warning: TriangleAlert,
  error: CircleAlert,
};

/** Notices in a corner, read out as they come. In the top layer, so that dialogs don't hide them. */
export function Toasts({ items, lift = 0, onDismiss, onHold }: ToastsProps) {
  const region = useRef<HTMLElement>(null);
  useEffect(() => {
    const element = region.current;
    if (typeof element?.showPopover !== "function") return;
    if (element.matches(":popover-open")) element.hidePopover();
    if (items.length > 0) element.showPopover();
  }, [items]);
  return (
    <section
      ref={region}
      popover="manual"
      aria-label={t("ui.notices")}
      aria-live="polite"
      className={styles.region}
      style={lift > 0 ? { marginBottom: lift } : undefined}
    >
      {items.map((item) => (
        <ToastCard
          key={item.id}
          item={item}
          onDismiss={() => onDismiss(item.id)}
          onHold={(held) => onHold?.(item.id, held)}
        />
      ))}
    </section>
  );
}

interface CardProps {
  readonly item: Toast;
  readonly onDismiss: () => void;
  readonly onHold: (held: boolean) => void;
}

function ToastCard({ item, onDismiss, onHold }: CardProps) {
  const Icon = ICONS[item.kind];
  // What was asked for is done: the question goes.
  const act = () => {
    item.action?.run();
    onDismiss();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: its role depends on the kind; the handlers only keep it there while it is read
    <div
      role={item.kind === "error" ? "alert" : "status"}
      className={cx(styles.toast, styles[item.kind])}
      onPointerEnter={() => onHold(true)}
      onPointerLeave={() => onHold(false)}
      onFocus={() => onHold(true)}
      onBlur={() => onHold(false)}
    >
      <Icon aria-hidden size={17} className={styles.icon} />
      <div className={styles.body}>
        <div className={styles.title}>{item.title}</div>
        {item.detail && <div className={styles.detail}>{item.detail}</div>}
        {item.progress !== undefined && (
          <Progress value={item.progress} label={item.title} className={styles.progress} />
        )}
        {item.action && (
          <Button size="s" className={styles.action} onClick={act}>
            {item.action.label}
          </Button>
        )}
      </div>
      <IconButton icon={X} size="s" label={t("ui.dismiss")} onClick={onDismiss} />
    </div>
  );
}
