/** The pictures as a grid under their days, walked by keyboard; only what is seen is made. */
import {
  Check,
  Grid3x3,
  LayoutGrid,
  RotateCcw,
  SlidersHorizontal,
  Star,
  StickyNote,
  Table2,
  Tags,
  Trash2,
} from "lucide-react";
import {
  type KeyboardEvent,
  type MouseEvent,
  memo,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { ArtifactEntry } from "@/api/schema";
import { begin, end } from "@/components/results/dragging";
import { isReadable } from "@/components/results/kinds";
import { ResultButton } from "@/components/results/ResultButton";
import { act, resultItems } from "@/components/results/resultItems";
import { takeValues } from "@/components/results/values";
import { ContextMenu, type MenuEntry, tip } from "@/components/ui";
import { sizeText } from "@/components/viewers/kinds";
import { t } from "@/i18n";
import { dayLabel, dayOf, fullMoment } from "@/i18n/format";
import { isRows } from "@/model/sweeps";
import { markAllResults, markedResults, useGallery } from "@/store/gallery";
import { mark, restore, trash } from "@/store/library";
import { notifyFault } from "@/store/notices";
import { useSweeps } from "@/store/sweeps";
import { useUi } from "@/store/ui";
import { GridCell, GridRow, useAimedCell, useGridWidth } from "../lib/grid";
import { STARS } from "../lib/Stars";
import { useVirtualRows } from "../lib/useVirtualRows";
import { boardItems, copyPicture, download, keyOf, openWorkflow, removeAll } from "./actions";
import styles from "./GalleryGrid.module.css";
import { gridRows, movedInGrid, rowOfItem } from "./grid";
import { Thumbnail } from "./Thumbnail";

const GAP = 8;
const HEADING = 30;

interface Props {
  readonly items: readonly ArtifactEntry[];
  /** Pixels of a picture's side. */
  readonly size: number;
  readonly onEnd: () => void;
}

export function GalleryGrid({ items, size, onEnd }: Props) {
  const marked = useGallery((gallery) => gallery.marked);
  const isTrash = useGallery((gallery) => gallery.isTrash);
  const { mark: onMark } = useGallery.getState();
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
  // With its day above it, if that is the row before.
  const hasDay = rows[activeRow - 1]?.kind === "day";
  useGridWidth(virtual.ref, setWidth);
  useAimedCell(aim, active, hasDay ? [activeRow - 1, activeRow] : [activeRow], virtual);
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
    items.slice(Math.min(from, to), Math.max(from, to) + 1).map(({ digest }) => digest);
  const toggle = (index: number) => {
    const item = items[index];
    if (item === undefined) return;
    anchor.current = index;
    const next = new Set(marked);
    if (!next.delete(item.digest)) next.add(item.digest);
    onMark(next);
  };
  /** Those that are marked, if the active one is among them; else that one alone. */
  const meant = (): readonly ArtifactEntry[] => {
    const item = items[active];
    if (item === undefined) return [];
    return marked.has(item.digest) ? markedResults(items) : [item];
  };
  /** Into the trash; from there, or if it is wanted so, for good. */
  const removeMeant = async (forGood = isTrash) => {
    const gone = forGood ? await removeAll(meant()) : await trash(meant());
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
      if (event.shiftKey) onMark([...marked, ...range(anchor.current, to)]);
      else anchor.current = to;
      if (items[to]) goTo(items[to]);
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) void markAll();
    // Ctrl+Enter runs the workflow here, too.
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "Enter") open(active);
    else if (event.key === " ") toggle(active);
    else if (event.key === "Delete" || event.key === "Backspace")
      void removeMeant(isTrash || event.shiftKey);
    else if (event.key === "Escape" && marked.size > 0) onMark([]);
    else if (/^[0-5]$/.test(event.key)) void mark(meant(), { stars: Number(event.key) });
    else if (event.key === "t") organize(meant());
    else if (event.key === "v" && items[active]) void takeValues(items[active]);
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
    if (event.shiftKey) onMark([...marked, ...range(anchor.current, index)]);
    else if (event.ctrlKey || event.metaKey) toggle(index);
    else open(index);
  };
  const now = new Date();
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table can't leave out the rows that aren't seen
    <div
      ref={virtual.ref}
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
                  isMarked={marked.has(item.digest)}
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
            : entries(meant(), isTrash, {
                open: () => open(active),
                remove: (forGood) => void removeMeant(forGood),
              })
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
  if (isRows(sweep)) return <TableName group={sweep} job={job} />;
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

/** A table whose rows gave the results, and the way to all of them. */
function TableName({ group, job }: { readonly group: string; readonly job: string }) {
  return (
    <button
      type="button"
      className={styles.sweep}
      {...tip(t("library.rows.showAll"))}
      onClick={() => useGallery.getState().search(group)}
    >
      <Table2 aria-hidden size={13} />
      {t("library.rows.group", { name: job })}
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
      onDragStart={(event) => begin(event, item, draggedWith(item))}
      onDragEnd={end}
    >
      <Thumbnail artifact={item} size={thumbnailSize(size)} />
      <Noted item={item} size={size} />
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

/** All that are marked, if it is one of them. */
function draggedWith(item: ArtifactEntry): readonly ArtifactEntry[] {
  const { marked } = useGallery.getState();
  return marked.has(item.digest) ? markedResults() : [item];
}

/** Pixels below which there is no room for the size of an image beside its stars. */
const ROOM_FOR_SIZE = 112;

/** What is noted of it, and its size, at its lower edge; its name says the same. */
function Noted({ item, size }: { readonly item: ArtifactEntry; readonly size: number }) {
  const pixels = size < ROOM_FOR_SIZE ? null : sizeText(item);
  const { stars, tags, note } = item;
  if (pixels === null && stars === 0 && tags.length === 0 && note === null) return null;
  return (
    <span className={styles.noted}>
      {stars > 0 && (
        <span className={styles.starred} data-text={stars}>
          <Star aria-hidden size={11} />
        </span>
      )}
      {tags.length > 0 && <Tags aria-hidden size={12} />}
      {note !== null && <StickyNote aria-hidden size={12} />}
      {pixels !== null && <span className={styles.pixels} data-text={pixels} />}
    </span>
  );
}

function organize(artifacts: readonly ArtifactEntry[]): void {
  if (artifacts.length > 0) useUi.getState().openDialog("organize", { artifacts });
}

/** It begins with what is written on it, by which people call it who speak to the page. */
function labelOf(item: ArtifactEntry): string {
  const count = item.jobs > 1 ? `×${item.jobs}` : "";
  const caption = [item.name, item.job_name, count].filter(Boolean).join(" ");
  const stars = item.stars > 0 ? t("library.starCount", { count: item.stars }) : "";
  const noted = [sizeText(item), stars, ...item.tags];
  return [caption, fullMoment(item.created), jobsOf(item), ...noted].filter(Boolean).join(", ");
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

async function markAll(): Promise<void> {
  try {
    await markAllResults();
  } catch (fault) {
    notifyFault(fault, { key: "gallery-more" });
  }
}

interface Doing {
  readonly open: () => void;
  readonly remove: (forGood: boolean) => void;
}

function entries(
  items: readonly ArtifactEntry[],
  isTrash: boolean,
  { open, remove }: Doing,
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
    {
      label: t("library.takeValues"),
      icon: SlidersHorizontal,
      keys: "v",
      disabled: !isOne,
      run: () => void takeValues(first),
    },
    "separator",
    ...(isOne ? further(first) : []),
    ...(isTrash ? [] : marking(items)),
    {
      label: t("panels.gallery.copy"),
      disabled: !isOne || !first.media_type.startsWith("image/"),
      run: () => void copyPicture(first),
    },
    { label: t("panels.gallery.download"), keys: "d", run: () => download(items) },
    ...(isTrash
      ? [
          { label: t("library.restore"), icon: RotateCcw, run: () => void restore(items) },
          {
            label: t("library.deleteForGood"),
            icon: Trash2,
            keys: "Delete",
            danger: true,
            run: () => remove(true),
          },
        ]
      : [
          {
            label: t("library.toTrash"),
            icon: Trash2,
            keys: "Delete",
            run: () => remove(false),
          },
          {
            label: t("library.deleteForGood"),
            keys: "shift+delete",
            danger: true,
            run: () => remove(true),
          },
        ]),
  ];
}

/** What can be noted of results. */
function marking(items: readonly ArtifactEntry[]): readonly MenuEntry[] {
  const isAll = (stars: number) => items.every((item) => item.stars === stars);
  return [
    {
      label: t("library.stars"),
      icon: Star,
      items: [0, ...STARS].map((stars) => ({
        label: stars === 0 ? t("library.noStars") : "★".repeat(stars),
        keys: String(stars),
        checked: isAll(stars),
        run: () => void mark(items, { stars }),
      })),
    },
    { label: t("library.tags"), icon: Tags, keys: "t", run: () => organize(items) },
    { label: t("library.toBoard"), icon: LayoutGrid, items: boardItems(items) },
    "separator",
  ];
}
