import { ChevronDown, type LucideIcon } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { Button, IconButton } from "./Button";
import { late } from "./late";
import type { MenuEntry } from "./menuTypes";

/** A menu beside its anchor. It takes the focus, and gives it back when it closes. */
export const Menu = late((kit) => kit.MenuPopup);

interface MenuButtonProps {
  readonly items: readonly MenuEntry[] | (() => readonly MenuEntry[]);
  readonly label: string;
  readonly icon?: LucideIcon;
  readonly children?: ReactNode;
  readonly variant?: "primary" | "secondary" | "ghost" | "danger";
  readonly size?: "m" | "s";
  readonly align?: "start" | "end";
  readonly className?: string | undefined;
  readonly disabled?: boolean;
  /** Shows a small arrow after the text. */
  readonly arrow?: boolean;
}

/** A button that opens a menu; without children only its icon is seen. */
export function MenuButton(props: MenuButtonProps) {
  const { items, label, icon, children, variant = "ghost", size = "m", align = "start" } = props;
  const { className, disabled = false, arrow = false } = props;
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const shared = {
    ref: button,
    size,
    disabled,
    className,
    "aria-haspopup": "menu" as const,
    "aria-expanded": open,
    onClick: () => setOpen(!open),
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      setOpen(true);
    },
  };
  return (
    <>
      {children === undefined && icon ? (
        <IconButton {...shared} icon={icon} label={label} />
      ) : (
        <Button {...shared} variant={variant} icon={icon} aria-label={label}>
          {children}
          {arrow && <ChevronDown aria-hidden size={13} />}
        </Button>
      )}
      {open && button.current && (
        <Menu
          items={typeof items === "function" ? items() : items}
          anchor={button.current}
          onClose={() => setOpen(false)}
          label={label}
          align={align}
        />
      )}
    </>
  );
}

interface ContextMenuProps {
  readonly items: readonly MenuEntry[];
  readonly at: { readonly x: number; readonly y: number } | null;
  readonly onClose: () => void;
  readonly label: string;
}

export function ContextMenu({ items, at, onClose, label }: ContextMenuProps) {
  const latest = useRef(onClose);
  latest.current = onClose;
  useEffect(() => {
    if (!at) return;
    const close = () => latest.current();
    addEventListener("blur", close);
    return () => removeEventListener("blur", close);
  }, [at]);
  if (!at || items.length === 0) return null;
  return <Menu key={`${at.x},${at.y}`} items={items} anchor={at} onClose={onClose} label={label} />;
}
