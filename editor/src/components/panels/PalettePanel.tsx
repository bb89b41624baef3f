/** All node types by category: to be dragged onto the canvas, or added by Enter. */
import { ChevronRight, CircleHelp, FolderClosed, FolderOpen, Plus } from "lucide-react";
import { type KeyboardEvent, useId, useMemo, useState } from "react";
import { EmptyState, IconButton, SearchField } from "@/components/ui";
import { t } from "@/i18n";
import { colorOf } from "@/model/compat";
import { searchTypes } from "@/model/search";
import { categoryOf, type NodeSpec, type NodeTypes } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { toggleFavourite, useFavourites } from "@/store/favourites";
import { useUi } from "@/store/ui";
import { NodeSummary } from "./help/NodeSummary";
import { freeCenter } from "./lib/center";
import { beginDrag } from "./lib/dragged";
import { Highlight } from "./lib/Highlight";
import { insertNode } from "./lib/insert";
import { Dot } from "./lib/NodePreview";
import panel from "./lib/Panel.module.css";
import { RowList } from "./lib/RowList";
import { isStarKey, StarButton } from "./lib/Star";
import styles from "./PalettePanel.module.css";
import { favouriteRows, parentRow, type TreeRow, treeRows } from "./palette/tree";

const ROW = 28;

type Row = TreeRow<NodeSpec> & { readonly matches?: readonly (readonly [number, number])[] };

export default function PalettePanel() {
  const types = useCatalogue((catalogue) => catalogue.types);
  if (types === null) return <EmptyState title={t("panels.palette.loading")} />;
  return <Palette types={types} />;
}

function Palette({ types }: { readonly types: NodeTypes }) {
  const workflow = useActive((_document, found) => found);
  const [query, setQuery] = useState("");
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState(0);
  const favourites = useFavourites((state) => state.types);
  const id = useId();
  const isSearch = query.trim() !== "";
  const rows = useMemo<readonly Row[]>(() => {
    const liked = new Set(favourites);
    const hits = searchTypes(types, workflow, query, { favourites: liked });
    if (!isSearch) {
      const specs = hits.map((hit) => hit.spec);
      return [
        ...favouriteRows(specs, favourites, toggled, t("panels.palette.favourites")),
        ...treeRows(specs, toggled, t("panels.palette.other")),
      ];
    }
    return hits.map(({ spec, matches }) => ({
      kind: "type",
      id: `type:${spec.type}`,
      spec,
      matches,
      depth: 0,
    }));
  }, [types, workflow, query, isSearch, toggled, favourites]);
  const at = Math.min(active, rows.length - 1);
  const current = rows[at];
  const toggle = (folder: string) => {
    const next = new Set(toggled);
    if (!next.delete(folder)) next.add(folder);
    setToggled(next);
  };
  const open = (row: Row) => {
    if (row.kind === "category") toggle(row.id);
    else insertNode(row.spec, freeCenter(), null);
  };
  const onKey = (event: KeyboardEvent, row: Row, index: number) => {
    if (row.kind === "type" && isStarKey(event)) toggleFavourite(row.spec.type);
    else if (event.key === "ArrowRight" && row.kind === "category") {
      if (row.open) setActive(index + 1);
      else toggle(row.id);
    } else if (event.key === "ArrowLeft") {
      if (row.kind === "category" && row.open) toggle(row.id);
      else setActive(parentRow(rows, index));
    } else return false;
    return true;
  };
  return (
    <div className={panel.panel}>
      <div className={panel.bar}>
        <SearchField
          className={panel.grow}
          value={query}
          onChange={(text) => {
            setQuery(text);
            setActive(0);
          }}
          onKeyDown={(event) => enterList(event, `${id}-tree`)}
          label={t("panels.palette.search")}
        />
      </div>
      {rows.length === 0 && (
        <EmptyState title={t("panels.palette.nothing")}>
          {t(types.unread.size > 0 ? "shell.readingPacks" : "panels.palette.tryOther")}
        </EmptyState>
      )}
      <RowList
        id={`${id}-tree`}
        label={t("panels.palette.title")}
        role="tree"
        items={rows}
        height={ROW}
        keyOf={(row) => row.id}
        active={at}
        onActive={setActive}
        onOpen={open}
        onKey={onKey}
        aria={(row) => ({
          "aria-level": row.depth + 1,
          ...(row.kind === "category" ? { "aria-expanded": row.open } : {}),
        })}
      >
        {(row, state) =>
          row.kind === "category" ? (
            <Folder row={row} onToggle={() => toggle(row.id)} />
          ) : (
            <TypeRow types={types} row={row} active={state.active} onAdd={() => open(row)} />
          )
        }
      </RowList>
      {current?.kind === "type" && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: so that it can be scrolled by keyboard
        <section className={styles.help} aria-label={t("panels.palette.help")} tabIndex={0}>
          <NodeSummary types={types} spec={current.spec} />
        </section>
      )}
    </div>
  );
}

/** From the search field down into the list. */
function enterList(event: KeyboardEvent, list: string): void {
  if (event.key !== "ArrowDown" && event.key !== "Enter") return;
  const first = document.getElementById(list)?.querySelector<HTMLElement>('[tabindex="0"]');
  if (first === null || first === undefined) return;
  event.preventDefault();
  first.focus();
}

interface FolderProps {
  readonly row: Extract<Row, { kind: "category" }>;
  readonly onToggle: () => void;
}

function Folder({ row, onToggle }: FolderProps) {
  const Icon = row.open ? FolderOpen : FolderClosed;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the row around it is the tree item
    // biome-ignore lint/a11y/useKeyWithClickEvents: Enter and arrows are the tree's
    <div className={styles.folder} style={{ paddingLeft: indent(row.depth) }} onClick={onToggle}>
      <ChevronRight aria-hidden size={13} className={styles.chevron} data-open={row.open} />
      <Icon aria-hidden size={14} />
      <span>{row.name}</span>
      <small>{row.count}</small>
    </div>
  );
}

interface TypeProps {
  readonly types: NodeTypes;
  readonly row: Extract<Row, { kind: "type" }>;
  readonly active: boolean;
  readonly onAdd: () => void;
}

function TypeRow({ types, row, active, onAdd }: TypeProps) {
  const { spec } = row;
  const type = spec.outputs[0]?.type ?? spec.inputs[0]?.type ?? "Any";
  const showHelp = useUi((ui) => ui.showHelp);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dragging is one way, Enter on the row another
    <div
      className={styles.type}
      style={{ paddingLeft: indent(row.depth) + 4 }}
      draggable
      onDragStart={(event) => beginDrag(event, spec.type)}
      data-active={active || undefined}
    >
      <Dot color={colorOf(types, type)} />
      <span className={styles.label}>
        <Highlight text={spec.label || spec.type} matches={row.matches ?? []} />
      </span>
      {row.matches && <small>{categoryOf(spec) || spec.pack}</small>}
      <span className={styles.star}>
        <StarButton spec={spec} />
      </span>
      <span className={styles.tools}>
        <IconButton
          icon={CircleHelp}
          size="s"
          tabIndex={-1}
          label={t("panels.palette.showHelp", { label: spec.label || spec.type })}
          onClick={() => showHelp(spec.type)}
        />
        <IconButton
          icon={Plus}
          size="s"
          tabIndex={-1}
          label={t("panels.palette.add", { label: spec.label || spec.type })}
          onClick={onAdd}
        />
      </span>
    </div>
  );
}

function indent(depth: number): number {
  return 8 + depth * 14;
}
