/** The pictures as a grid under their days, walked by keyboard; only what is seen is made. */
import { Check } from "lucide-react";
import {
  type KeyboardEvent,
  type MouseEvent,
  memo,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { ArtifactEntry } from "@/api/schema";
import { ContextMenu, type MenuEntry } from "@/components/ui";
import { t } from "@/i18n";
import { dayLabel, dayOf, fullMoment } from "@/i18n/format";
import { useUi } from "@/store/ui";
import { GridCell, GridRow } from "../lib/grid";
import { useVirtualRows } from "../lib/useVirtualRows";
import { copyPicture, download, keyOf, openWorkflow, removeAll } from "./actions";
import styles from "./GalleryGrid.module.css";
import { gridRows, movedInGrid, rowOfItem } from "./grid";
import { Thumbnail } from "./Thumbnail";

const GAP = 8;
const HEADING = 30;

interface Props {
  readonly items: readonly ArtifactEntry[];
  /** Pixels of a picture's side. */
  readonly size: number;
  readonly marked: ReadonlySet<string>;
  readonly onMark: (marked: ReadonlySet<string>) => void;
  readonly onEnd: () => void;
}

export function GalleryGrid({ items, size, marked, onMark, onEnd }: Props) {
  const [width, setWidth] = useState(800);
  const [activeKey, setActiveKey] = useState<string | null>(null);
  const [menu, setMenu] = useState<{ x: number; y: number } | null>(null);
  const anchor = useRef(0);
  /** The one that is to get the focus: an object of its own each time it is wanted. */
  const [aim, setAim] = useState<{ readonly key: string } | null>(null);
  const columns = Math.max(1, Math.floor((width - GAP) / (size + GAP)));
  const cell = Math.floor((width - GAP) / columns) - GAP;
  const rows = useMemo(() => {
    const days = items.map((item) => ({ day: dayOf(item.created), at: item.created }));
    return gridRows(days, columns);
  }, [items, columns]);
  const found = items.findIndex((item) => keyOf(item) === activeKey);
  const active = Math.max(found, 0);
  const heights = useMemo(
    () => (index: number) => (rows[index]?.kind === "day" ? HEADING : cell + GAP),
    [rows, cell],
  );
  const activeRow = rowOfItem(rows, active);
  const virtual = useVirtualRows(rows.length, heights, activeRow);
  const { ref, scrollTo } = virtual;

  useLayoutEffect(() => {
    const box = ref.current;
    if (box === null || typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(() => setWidth(box.clientWidth));
    observer.observe(box);
    return () => observer.disconnect();
  }, [ref]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once each time that one is aimed at, so that a list that grows takes no focus away
  useEffect(() => {
    if (aim === null) return;
    // With its day above it, if that is the row before.
    if (rows[activeRow - 1]?.kind === "day") scrollTo(activeRow - 1);
    scrollTo(activeRow);
    ref.current
      ?.querySelector<HTMLElement>(`[data-item="${active}"]`)
      ?.focus({ preventScroll: true });
  }, [aim]);
  const isAtEnd = (virtual.rows.at(-1)?.index ?? -1) >= rows.length - 2;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each length of the list
  useEffect(() => {
    if (isAtEnd) onEnd();
  }, [isAtEnd, items.length]);

  const goTo = (item: ArtifactEntry) => {
    const key = keyOf(item);
    setActiveKey(key);
    setAim({ key });
  };
  const range = (from: number, to: number) =>
    items.slice(Math.min(from, to), Math.max(from, to) + 1).map(keyOf);
  const toggle = (index: number) => {
    const item = items[index];
    if (item === undefined) return;
    anchor.current = index;
    const next = new Set(marked);
    if (!next.delete(keyOf(item))) next.add(keyOf(item));
    onMark(next);
  };
  /** Those that are marked, if the active one is among them; else that one alone. */
  const meant = (): readonly ArtifactEntry[] => {
    const item = items[active];
    if (item === undefined) return [];
    return marked.has(keyOf(item)) ? items.filter((each) => marked.has(keyOf(each))) : [item];
  };
  const removeMeant = async () => {
    const gone = await removeAll(meant());
    if (gone.length > 0) onMark(new Set());
    if (useUi.getState().dialog !== null) return;
    // The next one that is left; at the end, the one before.
    const isLeft = (item: ArtifactEntry) => !gone.includes(item);
    const next = items.slice(active).find(isLeft) ?? items.slice(0, active).findLast(isLeft);
    if (next) goTo(next);
  };
  const open = (index: number, compare = false) => {
    const list = compare && marked.size > 1 ? meant() : items;
    const artifact = compare ? list[0] : items[index];
    if (artifact) useUi.getState().openDialog("viewer", { artifact, list, compare });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const to = event.altKey ? null : movedInGrid(rows, active, event.key, items.length);
    if (to !== null) {
      if (event.shiftKey) onMark(new Set([...marked, ...range(anchor.current, to)]));
      else anchor.current = to;
      if (items[to]) goTo(items[to]);
    } else if (event.key === "Enter") open(active);
    else if (event.key === " ") toggle(active);
    else if (event.key === "Delete" || event.key === "Backspace") void removeMeant();
    else if (event.key === "Escape" && marked.size > 0) onMark(new Set());
    else if (event.key === "a" && (event.ctrlKey || event.metaKey))
      onMark(new Set(items.map(keyOf)));
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "c" && marked.size > 1) open(active, true);
    else if (event.key === "d") download(meant());
    else if (event.key === "o" && items[active]) void openWorkflow(items[active]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const onClick = (event: MouseEvent, index: number) => {
    const item = items[index];
    if (item === undefined) return;
    setActiveKey(keyOf(item));
    if (event.shiftKey) onMark(new Set([...marked, ...range(anchor.current, index)]));
    else if (event.ctrlKey || event.metaKey) toggle(index);
    else open(index);
  };
  const now = new Date();
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table can't leave out the rows that aren't seen
    <div
      ref={ref}
      role="grid"
      aria-label={t("panels.gallery.title")}
      aria-multiselectable
      aria-rowcount={rows.length}
      className={styles.grid}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" className={styles.space} style={{ height: virtual.total + GAP }}>
        {virtual.rows.map(({ index, top, height }) => {
          const row = rows[index];
          if (row === undefined) return null;
          if (row.kind === "day") {
            return (
              <GridRow key={row.key} className={styles.row} style={{ top, height }}>
                <GridCell className={styles.day}>
                  {dayLabel(row.at, now)} <small>{row.count}</small>
                </GridCell>
              </GridRow>
            );
          }
          return (
            <GridRow
              key={row.key}
              aria-rowindex={index + 1}
              className={styles.row}
              style={{ top, height, gridTemplateColumns: `repeat(${columns}, ${cell}px)` }}
            >
              {items.slice(row.from, row.to).map((item, offset) => (
                <Cell
                  key={keyOf(item)}
                  item={item}
                  index={row.from + offset}
                  size={cell}
                  isActive={row.from + offset === active}
                  isMarked={marked.has(keyOf(item))}
                  onClick={onClick}
                  onToggle={toggle}
                  onFocus={() => setActiveKey(keyOf(item))}
                  onMenu={(event) => {
                    goTo(item);
                    setMenu({ x: event.clientX, y: event.clientY });
                  }}
                />
              ))}
            </GridRow>
          );
        })}
      </div>
      <ContextMenu
        at={menu}
        label={t("panels.gallery.menu")}
        onClose={() => setMenu(null)}
        items={
          menu === null
            ? []
            : entries(
                meant(),
                () => open(active),
                () => void removeMeant(),
              )
        }
      />
    </div>
  );
}

interface CellProps {
  readonly item: ArtifactEntry;
  readonly index: number;
  readonly size: number;
  readonly isActive: boolean;
  readonly isMarked: boolean;
  readonly onClick: (event: MouseEvent, index: number) => void;
  readonly onToggle: (index: number) => void;
  readonly onFocus: () => void;
  readonly onMenu: (event: MouseEvent) => void;
}

const Cell = memo(function Cell(props: CellProps) {
  const { item, index, size, isActive, isMarked } = props;
  return (
    <GridCell
      tabIndex={isActive ? 0 : -1}
      aria-selected={isMarked}
      aria-label={[item.name, item.job_name, fullMoment(item.created), jobsOf(item)]
        .filter(Boolean)
        .join(", ")}
      data-item={index}
      className={styles.cell}
      onFocus={props.onFocus}
      onClick={(event) => props.onClick(event, index)}
      onContextMenu={(event) => {
        event.preventDefault();
        props.onMenu(event);
      }}
    >
      <Thumbnail artifact={item} size={thumbnailSize(size)} />
      <span className={styles.caption}>
        {item.name}
        {/* Of a sweep, it tells which value made it. */}
        {item.job_name && <small>{item.job_name}</small>}
      </span>
      {item.jobs > 1 && (
        <span className={styles.jobs} title={jobsOf(item)}>
          ×{item.jobs}
        </span>
      )}
      <button
        type="button"
        tabIndex={-1}
        className={styles.mark}
        aria-pressed={isMarked}
        aria-label={t("panels.gallery.mark", { name: item.name })}
        onClick={(event) => {
          event.stopPropagation();
          props.onToggle(index);
        }}
      >
        {isMarked && <Check aria-hidden size={13} strokeWidth={3} />}
      </button>
    </GridCell>
  );
});

/** How many jobs gave it; nothing if it was only one. */
function jobsOf({ jobs }: ArtifactEntry): string {
  return jobs > 1 ? t("panels.gallery.jobs", { count: jobs }) : "";
}

function thumbnailSize(side: number): 128 | 256 | 512 {
  const pixels = side * (globalThis.devicePixelRatio || 1);
  if (pixels <= 140) return 128;
  return pixels <= 280 ? 256 : 512;
}

function entries(
  items: readonly ArtifactEntry[],
  open: () => void,
  remove: () => void,
): readonly MenuEntry[] {
  const [first, second] = items;
  if (first === undefined) return [];
  const isOne = second === undefined;
  return [
    { label: t("panels.gallery.view"), keys: "Enter", disabled: !isOne, run: open },
    {
      label: t("panels.gallery.compare"),
      keys: "c",
      disabled: isOne,
      run: () =>
        useUi.getState().openDialog("viewer", { artifact: first, list: items, compare: true }),
    },
    {
      label: t("panels.gallery.openWorkflow"),
      keys: "o",
      disabled: !isOne,
      run: () => void openWorkflow(first),
    },
    "separator",
    {
      label: t("panels.gallery.copy"),
      disabled: !isOne || !first.media_type.startsWith("image/"),
      run: () => void copyPicture(first),
    },
    { label: t("panels.gallery.download"), keys: "d", run: () => download(items) },
    { label: t("panels.gallery.delete"), keys: "Delete", danger: true, run: remove },
  ];
}
