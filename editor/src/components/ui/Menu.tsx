import { Check, ChevronDown, ChevronRight, type LucideIcon } from "lucide-react";
import {
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { createPortal } from "react-dom";
import { keyText } from "@/commands/keys";
import { Button, IconButton } from "./Button";
import { cx } from "./cx";
import styles from "./Menu.module.css";
import { isItem, type MenuEntry, type MenuItem } from "./menuTypes";
import { useOverlayRoot } from "./overlay";
import { type Anchor, useFloating } from "./useFloating";
import { useOutside } from "./useOutside";

interface MenuProps {
  readonly items: readonly MenuEntry[];
  readonly anchor: Anchor;
  readonly onClose: () => void;
  readonly label: string;
  readonly align?: "start" | "end";
}

/** A menu beside its anchor. It takes the focus, and gives it back when it closes. */
export function Menu({ items, anchor, onClose, label, align = "start" }: MenuProps) {
  const root = useOverlayRoot();
  const before = useRef(document.activeElement);
  const close = () => {
    onClose();
    const opener = before.current;
    if (opener instanceof HTMLElement) opener.focus({ preventScroll: true });
  };
  useOutside(
    (target) => target instanceof Element && target.closest("[data-menu]") !== null,
    onClose,
  );
  return createPortal(
    <MenuList items={items} anchor={anchor} label={label} close={close} align={align} />,
    root,
  );
}

interface ListProps {
  readonly items: readonly MenuEntry[];
  readonly anchor: Anchor;
  readonly label: string;
  readonly align: "start" | "end";
  /** Closes the whole menu. */
  readonly close: () => void;
  /** Closes this submenu only. */
  readonly leave?: () => void;
}

function MenuList({ items, anchor, label, align, close, leave }: ListProps) {
  const list = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<number | null>(null);
  const placing = leave
    ? ({ side: "right", align: "start", gap: -2 } as const)
    : ({ side: "bottom", align, gap: 4 } as const);
  const style = useFloating(list, anchor, placing);
  const typed = useTypeahead();

  useLayoutEffect(() => {
    (buttonsOf(list.current)[0] ?? list.current)?.focus({ preventScroll: true });
  }, []);

  const onKeyDown = (event: KeyboardEvent) => {
    if (!list.current?.contains(event.target as Node)) return;
    const moved = movedFocus(event.key, buttonsOf(list.current));
    if (moved) moved.focus();
    else if (event.key === "Escape") leave ? leave() : close();
    else if (event.key === "ArrowLeft" && leave) leave();
    else if (event.key === "Tab") close();
    else if (event.key.length === 1 && event.key !== " ") typed(event.key, list.current);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div
      ref={list}
      role="menu"
      aria-label={label}
      tabIndex={-1}
      data-menu=""
      className={cx(styles.menu, "nowheel")}
      style={style}
      onKeyDown={onKeyDown}
      onContextMenu={(event) => event.preventDefault()}
    >
      {items.map((entry, index) => (
        <MenuRow
          key={index}
          entry={entry}
          isOpen={open === index}
          setOpen={(isOpen) => setOpen(isOpen ? index : null)}
          close={close}
          checkable={items.some((item) => isItem(item) && item.checked !== undefined)}
          withIcons={items.some((item) => isItem(item) && item.icon !== undefined)}
        />
      ))}
    </div>
  );
}

interface RowProps {
  readonly entry: MenuEntry;
  readonly isOpen: boolean;
  readonly setOpen: (isOpen: boolean) => void;
  readonly close: () => void;
  /** Whether some entry of the list has a check mark, or an icon: all leave room for it then. */
  readonly checkable: boolean;
  readonly withIcons: boolean;
}

function MenuRow({ entry, isOpen, setOpen, close, checkable, withIcons }: RowProps) {
  const button = useRef<HTMLButtonElement>(null);
  if (entry === "separator") return <hr className={styles.separator} />;
  if (!isItem(entry)) return <div className={styles.heading}>{entry.heading}</div>;
  const act = () => {
    if (entry.items) return setOpen(true);
    close();
    entry.run?.();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "ArrowRight" || !entry.items) return;
    setOpen(true);
    event.preventDefault();
    event.stopPropagation();
  };
  const hover = () => {
    button.current?.focus({ preventScroll: true });
    setOpen(entry.items !== undefined);
  };
  return (
    <>
      {/* biome-ignore lint/a11y/useAriaPropsSupportedByRole: the role is chosen with it, a check item has aria-checked */}
      <button
        ref={button}
        type="button"
        role={entry.checked === undefined ? "menuitem" : "menuitemcheckbox"}
        aria-checked={entry.checked}
        aria-haspopup={entry.items ? "menu" : undefined}
        aria-expanded={entry.items ? isOpen : undefined}
        aria-disabled={entry.disabled}
        disabled={entry.disabled}
        tabIndex={-1}
        className={cx(styles.item, entry.danger && styles.danger)}
        onClick={act}
        onKeyDown={onKeyDown}
        // Not its entering: a menu that opens by key under a resting pointer keeps its first item.
        onPointerMove={(event) => event.pointerType === "mouse" && hover()}
      >
        <RowContent item={entry} checkable={checkable} withIcons={withIcons} />
      </button>
      {isOpen && entry.items && button.current && (
        <MenuList
          items={entry.items}
          anchor={button.current}
          label={entry.label}
          align="start"
          close={close}
          leave={() => {
            setOpen(false);
            button.current?.focus();
          }}
        />
      )}
    </>
  );
}

interface ContentProps extends Pick<RowProps, "checkable" | "withIcons"> {
  readonly item: MenuItem;
}

function RowContent({ item, checkable, withIcons }: ContentProps) {
  const { icon: Icon } = item;
  return (
    <>
      {checkable && (
        <span className={styles.mark}>{item.checked && <Check aria-hidden size={14} />}</span>
      )}
      {item.swatch !== undefined && (
        <span className={styles.swatch} style={{ background: item.swatch }} />
      )}
      {withIcons && <span className={styles.icon}>{Icon && <Icon aria-hidden size={15} />}</span>}
      <span className={styles.label}>{item.label}</span>
      {item.hint && <span className={styles.hint}>{item.hint}</span>}
      {item.keys && <span className={styles.hint}>{keyText(item.keys)}</span>}
      {item.items && <ChevronRight aria-hidden size={14} className={styles.hint} />}
    </>
  );
}

/** The items of this list only, not of an open submenu, which lies beside it. */
function buttonsOf(list: HTMLElement | null): readonly HTMLButtonElement[] {
  return [...(list?.querySelectorAll<HTMLButtonElement>(":scope > button:not(:disabled)") ?? [])];
}

function movedFocus(key: string, items: readonly HTMLButtonElement[]): HTMLButtonElement | null {
  const now = items.findIndex((item) => item.matches(":focus"));
  const last = items.length - 1;
  const next = {
    ArrowDown: now >= last ? 0 : now + 1,
    ArrowUp: now <= 0 ? last : now - 1,
    Home: 0,
    End: last,
  }[key];
  return next === undefined ? null : (items[next] ?? null);
}

/** Typing letters goes to the item that starts with them. */
function useTypeahead() {
  const typed = useRef({ text: "", at: 0 });
  return (letter: string, list: HTMLElement | null) => {
    const now = performance.now();
    const text = (now - typed.current.at < 700 ? typed.current.text : "") + letter.toLowerCase();
    typed.current = { text, at: now };
    const starts = (item: HTMLElement) => item.textContent?.trim().toLowerCase().startsWith(text);
    buttonsOf(list).find(starts)?.focus();
  };
}

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
  const id = useId();
  const shared = {
    ref: button,
    id,
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
