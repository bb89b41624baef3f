import {
  Eye,
  FileWarning,
  Grid3x3,
  ImageDown,
  LoaderCircle,
  MoreHorizontal,
  SlidersHorizontal,
} from "lucide-react";
import { type MouseEvent, useMemo, useState } from "react";
import { drawGrid } from "@/api/files";
import type { ArtifactEntry, JobEntry } from "@/api/schema";
import { openWorkflow } from "@/components/panels/gallery/actions";
import { Thumbnail } from "@/components/panels/gallery/Thumbnail";
import { resultDrag } from "@/components/results/dragging";
import { resultItems } from "@/components/results/resultItems";
import { takeValues } from "@/components/results/values";
import { download } from "@/components/shell/download";
import {
  Button,
  ContextMenu,
  Dialog,
  EmptyState,
  MenuButton,
  type MenuEntry,
  Slider,
  Tabs,
} from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import type { Point } from "@/model/layout";
import { type Grid, gridOf, type Place, placeKey, sweepTag } from "@/model/sweeps";
import { type JobView, useJobs } from "@/store/jobs";
import { notifyFault, toldOf } from "@/store/notices";
import { loadSweep, type SweepJobs } from "@/store/sweeps";
import { useUi } from "@/store/ui";
import { fittingSize, LEAST_SIZE, MOST_SIZE, SIZE_STEP } from "./cellSize";
import styles from "./GridDialog.module.css";

interface Props {
  readonly sweep: string;
  readonly onClose: () => void;
}

/** What a cell shows. */
interface Cell {
  readonly job: string;
  readonly state: JobView["state"];
  readonly files: readonly ArtifactEntry[];
}

/** What a sweep gave, each picture under the values that made it; it grows as the jobs run. */
export default function GridDialog({ sweep, onClose }: Props) {
  const [loaded, reload] = useLoaded(sweep);
  const { grid, cells, title } = useGrid(sweep, loaded);
  const [shown, setShown] = useState("0");
  const [chosen, setSize] = useState<number | null>(null);
  const [isSaving, setSaving] = useState(false);
  const [x, y, z] = grid.axes;
  const total = [x, y, z].reduce((count, axis) => count * Math.max(1, axis?.labels.length ?? 1), 1);
  const fitting = fittingSize(x?.labels.length ?? 1, y?.labels.length ?? 1, {
    width: window.innerWidth,
    height: window.innerHeight,
  });
  const size = chosen ?? fitting;
  const done = [...cells.values()].filter(({ state }) => state === "finished").length;
  const layer = z === undefined ? null : Number(shown);
  const save = async () => {
    setSaving(true);
    try {
      const name = (title || t("sweeps.grid")).replaceAll(/[\\/:*?"<>|]+/g, "_");
      const image = await drawGrid(gridRequest(grid, cells, layer, title));
      download(`${name}.png`, image, "image/png");
    } catch (fault) {
      notifyFault(fault, { title: t("library.grid.failed") });
    }
    setSaving(false);
  };
  const isEmpty = ![...cells.values()].some(({ files }) => files.some(isDrawn));
  const sheet = (layer: number | null) => (
    <Sheet grid={grid} cells={cells} layer={layer} size={size} onClose={onClose} />
  );
  return (
    <Dialog
      title={title === "" ? t("sweeps.grid") : t("sweeps.gridOf", { title })}
      size="full"
      onClose={onClose}
      actions={
        <div className={styles.actions}>
          <span role="status">{t("sweeps.gridDone", { done, count: total })}</span>
          <Button
            size="s"
            icon={ImageDown}
            busy={isSaving}
            disabled={isEmpty}
            onClick={() => void save()}
          >
            {t("library.grid.save")}
          </Button>
          <Slider
            className={styles.size}
            label={t("sweeps.gridSize")}
            value={size}
            min={LEAST_SIZE}
            max={MOST_SIZE}
            step={SIZE_STEP}
            onChange={setSize}
          />
        </div>
      }
    >
      {x === undefined && <Nothing loaded={loaded} reload={reload} />}
      {x !== undefined && z === undefined && sheet(null)}
      {x !== undefined && z !== undefined && (
        <Tabs
          label={z.target}
          active={shown}
          onChange={setShown}
          tabs={z.labels.map((label, index) => ({
            id: String(index),
            label: `${z.target} = ${label}`,
          }))}
        >
          {sheet(Number(shown))}
        </Tabs>
      )}
    </Dialog>
  );
}

type Loaded = SweepJobs | { readonly fault: unknown } | null;

function Nothing({ loaded, reload }: { readonly loaded: Loaded; readonly reload: () => void }) {
  if (loaded === null) return <EmptyState icon={LoaderCircle} title={t("sweeps.gridLoading")} />;
  if ("fault" in loaded) {
    return (
      <EmptyState icon={FileWarning} title={toldOf(loaded.fault)?.title ?? t("sweeps.gridFailed")}>
        <Button onClick={reload}>{t("sweeps.gridAgain")}</Button>
      </EmptyState>
    );
  }
  return <EmptyState icon={Grid3x3} title={t("sweeps.gridGone")} />;
}

/** Pixels of a cell's side in an image of the grid: as large as its images, within what is sent. */
const LARGEST_CELL = 1024;
const LEAST_CELL = 256;
/** Of the whole image. */
const LARGEST_SIDE = 16_000;
/** Characters that a label may have. */
const LONGEST_LABEL = 500;

function isDrawn({ media_type }: ArtifactEntry): boolean {
  return media_type.startsWith("image/");
}

/** What the server draws: the grid of one layer, with the values that its rows and columns are of. */
function gridRequest(
  grid: Grid,
  cells: ReadonlyMap<string, Cell>,
  layer: number | null,
  title: string,
) {
  const [x, y, z] = grid.axes;
  const columns = x?.labels ?? [];
  const rows = y?.labels ?? [""];
  const imageAt = (column: number, row: number) => {
    const place: Place = [column, ...(y ? [row] : []), ...(layer === null ? [] : [layer])];
    return cells.get(placeKey(place))?.files.find(isDrawn) ?? null;
  };
  const images = rows.map((_, row) => columns.map((__, column) => imageAt(column, row)));
  const sides = images.flat().map((image) => Math.max(image?.width ?? 0, image?.height ?? 0));
  const room = Math.floor(LARGEST_SIDE / Math.max(1, columns.length, rows.length));
  const cell = Math.min(LARGEST_CELL, room, Math.max(LEAST_CELL, ...sides));
  const labeled = (target: string | undefined, label: string) =>
    target === undefined ? "" : `${target} = ${label}`.slice(0, LONGEST_LABEL);
  const third = z && layer !== null ? [labeled(z.target, z.labels[layer] ?? "")] : [];
  return {
    rows: images.map((line) => line.map((image) => image?.digest ?? null)),
    column_labels: columns.map((label) => labeled(x?.target, label)),
    row_labels: y ? y.labels.map((label) => labeled(y.target, label)) : [],
    title: [...(title === "" ? [] : [title]), ...third].join(" · ").slice(0, LONGEST_LABEL),
    cell,
    format: "png" as const,
  };
}

interface SheetProps {
  readonly grid: Grid;
  readonly cells: ReadonlyMap<string, Cell>;
  /** Of the third axis; null where there is none. */
  readonly layer: number | null;
  readonly size: number;
  readonly onClose: () => void;
}

/** One grid: values of the first input along the top, of the second at the left. */
function Sheet({ grid, cells, layer, size, onClose }: SheetProps) {
  const [x, y, z] = grid.axes;
  if (x === undefined) return null;
  const rows = y?.labels ?? [null];
  const cellAt = (column: number, row: number) => {
    const place: Place = [column, ...(y ? [row] : []), ...(layer === null ? [] : [layer])];
    const axes = [x, y, z].flatMap((axis, index) => {
      const label = axis?.labels[place[index] ?? 0];
      return axis ? [`${axis.target} = ${label}`] : [];
    });
    return { cell: cells.get(placeKey(place)) ?? null, values: axes.join(", ") };
  };
  return (
    <div className={styles.scroll}>
      <table className={styles.sheet}>
        <thead>
          <tr>
            {y && <td className={styles.corner} />}
            {x.labels.map((label, column) => (
              <th key={column} scope="col" style={{ width: size }}>
                <small>{x.target}</small>
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((label, row) => (
            <tr key={row}>
              {y && (
                <th scope="row" style={{ maxWidth: Math.max(96, size) }}>
                  <small>{y.target}</small>
                  {label}
                </th>
              )}
              {x.labels.map((_, column) => (
                <td key={column}>
                  <CellView {...cellAt(column, row)} size={size} onClose={onClose} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface CellProps {
  readonly cell: Cell | null;
  /** The values that it is of, in words. */
  readonly values: string;
  readonly size: number;
  readonly onClose: () => void;
}

function CellView({ cell, values, size, onClose }: CellProps) {
  const [menuAt, setMenuAt] = useState<Point | null>(null);
  const box = { width: size, height: size };
  const artifact = cell?.files.find(({ thumbnail }) => thumbnail !== null);
  if (cell === null || artifact === undefined) {
    return (
      <span className={styles.none} style={box} data-state={cell?.state}>
        {t(`sweeps.state.${cell?.state ?? "none"}`)}
      </span>
    );
  }
  const open = async () => {
    if (await openWorkflow(artifact)) onClose();
  };
  const items = (): readonly MenuEntry[] => [
    {
      label: t("sweeps.view"),
      icon: Eye,
      run: () => useUi.getState().openDialog("viewer", { artifact, list: cell.files }),
    },
    {
      label: t("library.takeValues"),
      icon: SlidersHorizontal,
      run: () => void takeValues(artifact).then((isDone) => isDone && onClose()),
    },
    "separator",
    ...resultItems(artifact, { before: onClose }),
  ];
  const { onContextMenu: _, ...drag } = resultDrag(artifact);
  const label = t("sweeps.cellMenu", { values });
  const openMenu = (event: MouseEvent) => {
    event.preventDefault();
    setMenuAt({ x: event.clientX, y: event.clientY });
  };
  return (
    <div className={styles.cell} style={box}>
      <button
        type="button"
        className={styles.open}
        aria-label={t("sweeps.cell", { values })}
        onClick={() => void open()}
        onContextMenu={openMenu}
        {...drag}
      >
        <Thumbnail artifact={artifact} size={size > 140 ? (size > 256 ? 512 : 256) : 128} />
      </button>
      <MenuButton
        icon={MoreHorizontal}
        size="s"
        align="end"
        className={styles.more}
        label={label}
        items={items}
      />
      {menuAt && (
        <ContextMenu items={items()} at={menuAt} label={label} onClose={() => setMenuAt(null)} />
      )}
    </div>
  );
}

/** The jobs and files as the server had them when this was opened. */
function useLoaded(sweep: string): readonly [Loaded, () => void] {
  const { data, fault, refetch } = useAnswer({
    queryKey: ["sweep", sweep],
    queryFn: ({ signal }) => loadSweep(sweep, signal),
  });
  const loaded = useMemo(() => data ?? (fault && { fault }), [data, fault]);
  return [loaded, () => void refetch()];
}

/** Those, and what became of the jobs since. */
function useGrid(sweep: string, loaded: Loaded) {
  const known = useJobs((state) => state.jobs);
  return useMemo(() => {
    const tag = sweepTag(sweep);
    const ofServer = loaded !== null && "jobs" in loaded ? loaded.jobs : [];
    const here = [...known.values()].filter(({ tags }) => tags.includes(tag));
    const jobs = new Map<string, JobEntry | JobView>(ofServer.map((job) => [job.id, job]));
    for (const job of here) jobs.set(job.id, job);
    const filesOf = (job: string): readonly ArtifactEntry[] => {
      const live = known.get(job)?.outputs ?? [];
      if (live.length > 0 || loaded === null || !("files" in loaded)) return live;
      return loaded.files.get(job) ?? [];
    };
    // The oldest first, so that one that was run again counts.
    const ordered = [...jobs.values()].sort((a, b) => a.created - b.created);
    const grid = gridOf(ordered);
    const cells = new Map<string, Cell>();
    for (const [place, id] of grid.jobs) {
      const job = jobs.get(id);
      if (job) cells.set(place, { job: id, state: job.state, files: filesOf(id) });
    }
    return { grid, cells, title: ordered[0]?.name.split(" · ")[0] ?? "" };
  }, [sweep, loaded, known]);
}
