/**
 * A long list that is walked by keyboard.
 *
 * Either its rows take the focus, one of them being in the tab order; or the focus stays in a
 * field beside it (`focus="field"`), which points at the active row by `aria-activedescendant`
 * and passes its keys to `moveBy`.
 */
import { type KeyboardEvent, type ReactNode, useEffect, useState } from "react";
import styles from "./RowList.module.css";
import { useVirtualRows } from "./useVirtualRows";

export interface RowState {
  readonly index: number;
  readonly active: boolean;
}

export interface RowListProps<T> {
  readonly id: string;
  readonly label: string;
  readonly items: readonly T[];
  readonly height: number | ((index: number) => number);
  readonly keyOf: (item: T) => string;
  readonly children: (item: T, state: RowState) => ReactNode;
  readonly active: number;
  readonly onActive: (index: number) => void;
  /** Enter or double click. */
  readonly onOpen?: ((item: T, index: number) => void) | undefined;
  /** Open by one click. */
  readonly opensByClick?: boolean;
  /** Keys beyond moving and opening; true if it was one. */
  readonly onKey?: ((event: KeyboardEvent, item: T, index: number) => boolean) | undefined;
  readonly role?: "listbox" | "tree" | "grid" | "treegrid" | "list";
  readonly focus?: "rows" | "field";
  readonly aria?:
    | ((item: T, index: number) => Record<string, string | number | boolean>)
    | undefined;
  readonly multiselectable?: boolean;
  /** The end came into view: time to ask for more. */
  readonly onEnd?: (() => void) | undefined;
  readonly className?: string | undefined;
}

const ROW_ROLES = {
  listbox: "option",
  tree: "treeitem",
  grid: "row",
  treegrid: "row",
  list: "listitem",
} as const;

export function rowId(list: string, index: number): string {
  return `${list}-${index}`;
}

/** Where a key leads from row `from`, or null if it is no key that moves. */
export function movedBy(key: string, from: number, count: number, page: number): number | null {
  if (count === 0) return null;
  const steps: Record<string, number> = {
    ArrowDown: from + 1,
    ArrowUp: from - 1,
    PageDown: from + page,
    PageUp: from - page,
    Home: 0,
    End: count - 1,
  };
  const to = steps[key];
  return to === undefined ? null : Math.min(Math.max(to, 0), count - 1);
}

export function RowList<T>(props: RowListProps<T>) {
  const { items, active, role = "listbox", focus = "rows" } = props;
  const virtual = useVirtualRows(items.length, props.height, active);
  /** Counts the moves by key, each of which takes the focus along; a list that changes doesn't. */
  const [moves, setMoves] = useState(0);
  const { scrollTo, ref } = virtual;
  useEffect(() => scrollTo(active), [active, scrollTo]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each move
  useEffect(() => {
    if (moves === 0) return;
    const row = ref.current?.querySelector<HTMLElement>(`[data-index="${active}"]`);
    row?.focus({ preventScroll: true });
  }, [moves]);

  const { onEnd } = props;
  const isAtEnd = (virtual.rows.at(-1)?.index ?? -1) >= items.length - 1 && items.length > 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each length of the list
  useEffect(() => {
    if (isAtEnd) onEnd?.();
  }, [isAtEnd, items.length]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (isField(event.target)) return;
    const item = items[active];
    if (item !== undefined && props.onKey?.(event, item, active)) return consume(event);
    const isPlain = !(event.ctrlKey || event.metaKey || event.altKey);
    const to = isPlain ? movedBy(event.key, active, items.length, virtual.page) : null;
    if (to !== null) {
      setMoves((count) => count + 1);
      props.onActive(to);
      return consume(event);
    }
    const isRow = event.target instanceof HTMLElement && event.target.dataset.index !== undefined;
    if (isPlain && isRow && item !== undefined && (event.key === "Enter" || event.key === " ")) {
      props.onOpen?.(item, active);
      consume(event);
    }
  };

  return (
    // The rows take the keys; they bubble to here so that there is one handler.
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: the role is one of the four above
    // biome-ignore lint/a11y/noStaticElementInteractions: it has one of the four roles
    <div
      ref={ref}
      id={props.id}
      role={role}
      aria-label={props.label}
      aria-multiselectable={props.multiselectable === true && role !== "list" ? true : undefined}
      aria-rowcount={role.endsWith("grid") ? items.length : undefined}
      className={`${styles.list} ${props.className ?? ""}`}
      onKeyDown={focus === "rows" ? onKeyDown : undefined}
    >
      <div className={styles.space} role="presentation" style={{ height: virtual.total }}>
        {virtual.rows.map(({ index, top, height }) => {
          const item = items[index];
          if (item === undefined) return null;
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled on the list
            // biome-ignore lint/a11y/noStaticElementInteractions: it has the role of a row
            <div
              key={props.keyOf(item)}
              id={rowId(props.id, index)}
              role={ROW_ROLES[role]}
              data-index={index}
              data-active={index === active || undefined}
              className={styles.row}
              style={{ top, height }}
              tabIndex={focus === "rows" ? (index === activeOrFirst(active) ? 0 : -1) : undefined}
              {...position(role, index, items.length)}
              {...(role === "listbox" || role === "tree"
                ? { "aria-selected": index === active }
                : {})}
              {...props.aria?.(item, index)}
              onFocus={
                focus === "rows" ? () => index !== active && props.onActive(index) : undefined
              }
              onMouseDown={focus === "field" ? (event) => event.preventDefault() : undefined}
              onClick={() => {
                if (index !== active) props.onActive(index);
                if (props.opensByClick) props.onOpen?.(item, index);
              }}
              onDoubleClick={() => !props.opensByClick && props.onOpen?.(item, index)}
            >
              {props.children(item, { index, active: index === active })}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function activeOrFirst(active: number): number {
  return Math.max(active, 0);
}

function position(role: string, index: number, count: number): Record<string, number> {
  if (role.endsWith("grid")) return { "aria-rowindex": index + 1 };
  return { "aria-posinset": index + 1, "aria-setsize": count };
}

function isField(target: EventTarget): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select") !== null;
}

function consume(event: KeyboardEvent): void {
  event.preventDefault();
  event.stopPropagation();
}
