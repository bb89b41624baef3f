/** The pictures as a grid under their days, walked by keyboard; only what is seen is made. */
import { Check, Grid3x3 } from "lucide-react";
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
import { begin, end } from "@/components/results/dragging";
import { isReadable } from "@/components/results/kinds";
import { ResultButton } from "@/components/results/ResultButton";
import { act, resultItems } from "@/components/results/resultItems";
import { ContextMenu, type MenuEntry, tip } from "@/components/ui";
import { t } from "@/i18n";
import { dayLabel, dayOf, fullMoment } from "@/i18n/format";
import { useSweeps } from "@/store/sweeps";
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
  const sweeps = useSweepsOf(items);
  const rows = useMemo(() => {
    const days = items.map(({ created, job }) => {
      return { day: dayOf(created), at: created, sweep: sweeps.get(job) ?? null };
    });
    return gridRows(days, columns);
  }, [items, columns, sweeps]);
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
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey))
      onMark(new Set(items.map(keyOf)));
    // Ctrl+Enter runs the workflow here, too.
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "Enter") open(active);
    else if (event.key === " ") toggle(active);
    else if (event.key === "Delete" || event.key === "Backspace") void removeMeant();
    else if (event.key === "Escape" && marked.size > 0) onMark(new Set());
    else if (event.key === "c" && marked.size > 1) open(active, true);
    else if (event.key === "d") download(meant());
    else if (event.key === "o" && items[active]) void openWorkflow(items[active]);
    else if (event.key === "u" && items[active]) takeIn(items[active]);
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
                  {row.sweep === null ? (
                    dayLabel(row.at, now)
                  ) : (
                    <SweepName sweep={row.sweep} job={items[row.from]?.job_name ?? ""} />
                  )}{" "}
                  <small>{row.count}</small>
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

/** The sweeps that jobs are of, by job. */
function useSweepsOf(items: readonly ArtifactEntry[]): ReadonlyMap<string, string> {
  const sweeps = useSweeps((state) => state.sweeps);
  useEffect(() => {
    // Where they can't be asked for, the pictures stand under their days.
    useSweeps
      .getState()
      .learn(items.map(({ job }) => job))
      .catch(() => undefined);
  }, [items]);
  return sweeps;
}

/** What a sweep varied, as the name of one of its jobs tells, and the way to its grid. */
function SweepName({ sweep, job }: { readonly sweep: string; readonly job: string }) {
  const [, ...values] = job.split(" · ");
  const targets = values.map((value) => value.split(" = ")[0] ?? "").filter(Boolean);
  const name =
    targets.length === 0
      ? t("sweeps.groupPlain")
      : t("sweeps.group", { targets: targets.join(" × ") });
  return (
    <button
      type="button"
      className={styles.sweep}
      {...tip(t("sweeps.openGrid"))}
      onClick={() => useUi.getState().openDialog("grid", { sweep })}
    >
      <Grid3x3 aria-hidden size={13} />
      {name}
    </button>
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
      aria-label={labelOf(item)}
      data-item={index}
      className={styles.cell}
      onFocus={props.onFocus}
      onClick={(event) => props.onClick(event, index)}
      onContextMenu={(event) => {
        event.preventDefault();
        props.onMenu(event);
      }}
      draggable
      onDragStart={(event) => begin(event, item)}
      onDragEnd={end}
    >
      <Thumbnail artifact={item} size={thumbnailSize(size)} />
      <span className={styles.caption}>
        {item.name} {/* Of a sweep, it tells which value made it. */}
        {item.job_name && <small>{item.job_name}</small>}
      </span>
      <ResultButton artifact={item} over tabIndex={-1} className={styles.further} />
      {item.jobs > 1 && (
        <span className={styles.jobs} title={jobsOf(item)}>
          {`×${item.jobs}`}
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

/** It begins with what is written on it, by which people call it who speak to the page. */
function labelOf(item: ArtifactEntry): string {
  const count = item.jobs > 1 ? `×${item.jobs}` : "";
  const caption = [item.name, item.job_name, count].filter(Boolean).join(" ");
  return [caption, fullMoment(item.created), jobsOf(item)].filter(Boolean).join(", ");
}

/** How many jobs gave it; nothing if it was only one. */
function jobsOf({ jobs }: ArtifactEntry): string {
  return jobs > 1 ? t("panels.gallery.jobs", { count: jobs }) : "";
}

function thumbnailSize(side: number): 128 | 256 | 512 {
  const pixels = side * (globalThis.devicePixelRatio || 1);
  if (pixels <= 140) return 128;
  return pixels <= 280 ? 256 : 512;
}

/** Have it read by a node of the graph that is shown. */
function takeIn(artifact: ArtifactEntry): void {
  if (isReadable(artifact)) void act("use", artifact);
}

function further(artifact: ArtifactEntry): readonly MenuEntry[] {
  const [use, ...others] = resultItems(artifact);
  return use === undefined ? [] : [{ ...use, keys: "u" }, ...others, "separator"];
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
    ...(isOne ? further(first) : []),
    {
      label: t("panels.gallery.copy"),
      disabled: !isOne || !first.media_type.startsWith("image/"),
      run: () => void copyPicture(first),
    },
    { label: t("panels.gallery.download"), keys: "d", run: () => download(items) },
    { label: t("panels.gallery.delete"), keys: "Delete", danger: true, run: remove },
  ];
}
