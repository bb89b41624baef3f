import { Menu } from "@base-ui/react/menu";
import { Check, ChevronRight } from "lucide-react";
import { type ReactNode, useRef } from "react";
import { createPortal } from "react-dom";
import { keyText } from "@/commands/keys";
import { cx } from "../cx";
import { isItem, type MenuEntry, type MenuItem } from "../menuTypes";
import { type Anchor, closingBy, placedAt } from "./anchor";
import styles from "./Menu.module.css";
import { useFocus } from "./useFocus";

export interface MenuProps {
  readonly items: readonly MenuEntry[];
  readonly anchor: Anchor;
  readonly onClose: () => void;
  readonly label: string;
  readonly align?: "start" | "end";
}

export function MenuPopup({ items, anchor, onClose, label, align = "start" }: MenuProps) {
  const focus = useFocus(begin);
  const opener = useRef(document.activeElement);
  const isPoint = !(anchor instanceof Element);
  // Gone before the item acts: what that opens remembers where the focus was.
  const choose = (item: MenuItem) => {
    if (opener.current instanceof HTMLElement) opener.current.focus({ preventScroll: true });
    onClose();
    item.run?.();
  };
  // The kit leaves marks where it is drawn, which lists and grids may not hold.
  return createPortal(
    <Menu.Root open modal={false} onOpenChange={closingBy(anchor, onClose)}>
      {/* It lies beside the page's landmarks, so it is one itself; those within it are in it. */}
      <Menu.Portal role="region" aria-label={label}>
        <Menu.Positioner
          {...placedAt(anchor)}
          align={align}
          sideOffset={isPoint ? 0 : 4}
          collisionAvoidance={isPoint ? { side: "shift", align: "shift" } : { side: "flip" }}
          className={styles.positioner}
        >
          <Menu.Popup
            ref={focus}
            {...common(label)}
            finalFocus={false}
            onContextMenu={(event) => event.preventDefault()}
          >
            <Entries items={items} choose={choose} />
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>,
    document.body,
  );
}

function common(label: string) {
  return {
    "aria-label": label,
    "data-menu": "",
    className: cx(styles.menu, "nowheel"),
  };
}

function begin(menu: HTMLElement): HTMLElement {
  // Once the kit has counted its items: the arrow keys go on from the one that has the focus.
  queueMicrotask(() => menu.querySelector<HTMLElement>(FIRST)?.focus({ preventScroll: true }));
  return menu;
}

const FIRST = "[role^=menuitem]:not([data-disabled])";

interface EntriesProps {
  readonly items: readonly MenuEntry[];
  readonly choose: (item: MenuItem) => void;
}

function Entries({ items, choose }: EntriesProps) {
  // All leave room for a check mark or an icon if some entry has one.
  const checkable = items.some((item) => isItem(item) && item.checked !== undefined);
  const withIcons = items.some((item) => isItem(item) && item.icon !== undefined);
  const isEmpty = !items.some(isItem);
  return items.map((entry, index) => {
    const key = `${index}`;
    if (entry === "separator") return <Menu.Separator key={key} className={styles.separator} />;
    // A menu has items: where there is nothing to choose, it is what says so.
    if (!isItem(entry))
      return isEmpty ? (
        <Menu.Item key={key} disabled className={styles.heading}>
          {entry.heading}
        </Menu.Item>
      ) : (
        <div key={key} className={styles.heading}>
          {entry.heading}
        </div>
      );
    return (
      <Entry key={key} item={entry} choose={choose}>
        <Content item={entry} checkable={checkable} withIcons={withIcons} />
      </Entry>
    );
  });
}

interface EntryProps {
  readonly item: MenuItem;
  readonly choose: (item: MenuItem) => void;
  readonly children: ReactNode;
}

function Entry({ item, choose, children }: EntryProps) {
  const shared = {
    label: item.label,
    disabled: item.disabled ?? false,
    className: cx(styles.item, item.danger && styles.danger),
    children,
  };
  const act = { closeOnClick: false, onClick: () => choose(item) };
  if (item.items) return <Submenu item={item} choose={choose} trigger={shared} />;
  if (item.checked === undefined) return <Menu.Item {...shared} {...act} />;
  return <Menu.CheckboxItem {...shared} {...act} checked={item.checked} />;
}

interface SubmenuProps extends Omit<EntryProps, "children"> {
  readonly trigger: Menu.SubmenuTrigger.Props;
}

function Submenu({ item, choose, trigger }: SubmenuProps) {
  return (
    <Menu.SubmenuRoot>
      <Menu.SubmenuTrigger {...trigger} />
      <Menu.Portal>
        <Menu.Positioner
          positionMethod="fixed"
          collisionPadding={6}
          collisionAvoidance={{ side: "flip", align: "shift" }}
          sideOffset={-2}
          className={styles.positioner}
        >
          <Menu.Popup {...common(item.label)}>
            <Entries items={item.items ?? []} choose={choose} />
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.SubmenuRoot>
  );
}

interface ContentProps {
  readonly item: MenuItem;
  readonly checkable: boolean;
  readonly withIcons: boolean;
}

function Content({ item, checkable, withIcons }: ContentProps) {
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
