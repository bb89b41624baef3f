/** Models as a grid of cards, walked by keyboard; only what is seen is made. */
import { Copy, Info, SquarePlus, Trash2 } from "lucide-react";
import { type KeyboardEvent, type MouseEvent, useCallback, useMemo, useState } from "react";
import type { ModelEntry } from "@/api/schema";
import { copyText } from "@/components/shell/copyText";
import { ContextMenu, type MenuEntry } from "@/components/ui";
import { t } from "@/i18n";
import { movedInGrid, rowOfItem } from "../gallery/grid";
import { GridRow, useAimedCell, useGridWidth } from "../lib/grid";
import { useVirtualRows } from "../lib/useVirtualRows";
import { ModelCard } from "./ModelCard";
import styles from "./ModelGrid.module.css";

const GAP = 8;
/** Below the image: title, facts and words. */
const CAPTION = 62;
const NARROWEST = 108;

interface Props {
  readonly models: readonly ModelEntry[];
  readonly onPut: (model: ModelEntry) => void;
  readonly onShow: (model: ModelEntry) => void;
  /** Null where models may not be removed. */
  readonly onRemove: ((model: ModelEntry) => void) | null;
}

export function ModelGrid({ models, onPut, onShow, onRemove }: Props) {
  const [width, setWidth] = useState(264);
  const [activeName, setActiveName] = useState<string | null>(null);
  const [menu, setMenu] = useState<{ x: number; y: number } | null>(null);
  /** The one that is to get the focus: an object of its own each time it is wanted. */
  const [aim, setAim] = useState<{ readonly name: string } | null>(null);
  const columns = Math.max(1, Math.floor((width - GAP) / (NARROWEST + GAP)));
  const cell = Math.floor((width - GAP) / columns) - GAP;
  const height = Math.min(cell, 200) + CAPTION + GAP;
  const rows = useMemo(() => rowsOf(models.length, columns), [models.length, columns]);
  const found = models.findIndex(({ name }) => name === activeName);
  const active = Math.max(found, 0);
  const activeRow = rowOfItem(rows, active);
  const virtual = useVirtualRows(rows.length, height, activeRow);
  useGridWidth(virtual.ref, setWidth);
  useAimedCell(aim, active, [activeRow], virtual);

  const goTo = (index: number) => {
    const model = models[index];
    if (model === undefined) return;
    setActiveName(model.name);
    setAim({ name: model.name });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const model = models[active];
    const to = movedInGrid(rows, active, event.key, models.length);
    if (to !== null) goTo(to);
    else if (model === undefined) return;
    else if (event.key === "Enter") (model.problem === null ? onPut : onShow)(model);
    else if (event.key === " " || event.key === "i") onShow(model);
    else if (event.key === "Delete" && onRemove !== null) onRemove(model);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const focusCard = useCallback(
    (index: number) => setActiveName(models[index]?.name ?? null),
    [models],
  );
  const openMenu = (event: MouseEvent, index: number) => {
    goTo(index);
    setMenu({ x: event.clientX, y: event.clientY });
  };
  const meant = models[active];
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table can't leave out the rows that aren't seen
    <div
      ref={virtual.ref}
      role="grid"
      aria-label={t("models.title")}
      aria-rowcount={rows.length}
      className={styles.grid}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" className={styles.space} style={{ height: virtual.total + GAP }}>
        {virtual.rows.map(({ index, top }) => {
          const row = rows[index];
          if (row === undefined) return null;
          return (
            <GridRow
              key={row.key}
              aria-rowindex={index + 1}
              className={styles.row}
              style={{
                top: top + GAP,
                height,
                gridTemplateColumns: `repeat(${columns}, ${cell}px)`,
              }}
            >
              {models.slice(row.from, row.to).map((model, offset) => (
                <ModelCard
                  key={model.name}
                  model={model}
                  index={row.from + offset}
                  isActive={row.from + offset === active}
                  onFocus={focusCard}
                  onPut={onPut}
                  onShow={onShow}
                  onMenu={openMenu}
                />
              ))}
            </GridRow>
          );
        })}
      </div>
      <ContextMenu
        at={menu}
        label={t("models.menu")}
        onClose={() => setMenu(null)}
        items={menu === null || meant === undefined ? [] : entries(meant, onPut, onShow, onRemove)}
      />
    </div>
  );
}

function rowsOf(count: number, columns: number) {
  return Array.from({ length: Math.ceil(count / columns) }, (_, row) => ({
    kind: "cells" as const,
    key: `cells:${row * columns}`,
    from: row * columns,
    to: Math.min((row + 1) * columns, count),
  }));
}

function entries(
  model: ModelEntry,
  onPut: Props["onPut"],
  onShow: Props["onShow"],
  onRemove: Props["onRemove"],
): readonly MenuEntry[] {
  const words = model.trigger_words.join(", ");
  return [
    {
      label: t("models.putIn"),
      icon: SquarePlus,
      keys: "Enter",
      disabled: model.problem !== null,
      run: () => onPut(model),
    },
    { label: t("models.showDetails"), icon: Info, keys: "space", run: () => onShow(model) },
    "separator",
    { label: t("models.copyName"), icon: Copy, run: () => void copyText(model.name) },
    {
      label: t("models.copyWords"),
      icon: Copy,
      disabled: words === "",
      run: () => void copyText(words),
    },
    ...(onRemove === null
      ? []
      : [
          "separator" as const,
          {
            label: t("models.remove"),
            icon: Trash2,
            keys: "Delete",
            danger: true,
            run: () => onRemove(model),
          },
        ]),
  ];
}
