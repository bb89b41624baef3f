/** All that jobs gave, the newest first: looked through, searched, noted, compared, thrown away. */
import { Images, LoaderCircle, RefreshCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { Button, EmptyState, IconButton, Select, Slider } from "@/components/ui";
import { t } from "@/i18n";
import { markedResults, outdateResults, useGallery, useResults } from "@/store/gallery";
import { readStored, writeStored } from "@/store/persisted";
import styles from "./GalleryPanel.module.css";
import { emptyTrash } from "./gallery/actions";
import { BoardChoice, BoardList } from "./gallery/Boards";
import { BulkBar } from "./gallery/BulkBar";
import { GalleryGrid } from "./gallery/GalleryGrid";
import { KINDS, LibrarySearch } from "./gallery/LibrarySearch";
import panel from "./lib/Panel.module.css";

const SIZE_KEY = "nodegraph.gallery.size";

export default function GalleryPanel() {
  const { kind, marked, isTrash, filter } = useGallery();
  const { items, isLoading, fault, loadMore } = useResults();
  const isFiltered = useGallery(
    ({ text, kind: of, board }) => text !== "" || (of ?? board) !== null,
  );
  const [size, setSize] = useSize();
  const chosen = marked.size === 0 ? [] : markedResults(items);
  return (
    <div className={styles.gallery} data-gallery="">
      <BoardList />
      <div className={styles.main}>
        <div className={panel.bar}>
          {chosen.length > 0 ? (
            <BulkBar items={chosen} />
          ) : (
            <>
              <BoardChoice />
              <LibrarySearch />
              <Select
                className={styles.kind}
                label={t("panels.gallery.kind")}
                value={kind ?? "all"}
                onChange={(value) => filter({ kind: value === "all" ? null : value })}
                options={["all", ...KINDS, "other"].map((value) => ({
                  value,
                  label: t(`panels.gallery.kind.${value}`),
                }))}
              />
              <Slider
                className={styles.size}
                label={t("panels.gallery.size")}
                value={size}
                min={80}
                max={320}
                step={16}
                onChange={setSize}
              />
              <IconButton
                icon={RefreshCw}
                size="s"
                label={t("panels.gallery.reload")}
                onClick={() => void outdateResults()}
              />
            </>
          )}
        </div>
        {isTrash && items.length > 0 && (
          <p className={styles.trash}>
            <span>{t("library.trashHint")}</span>
            <Button size="s" icon={Trash2} onClick={() => void emptyTrash()}>
              {t("library.emptyTrash")}
            </Button>
          </p>
        )}
        {fault !== null && (
          <EmptyState icon={Images} title={fault.title ?? t("panels.gallery.failed")}>
            <p className={styles.problem}>{fault.detail}</p>
            <Button size="s" onClick={() => void outdateResults()}>
              {t("panels.gallery.again")}
            </Button>
          </EmptyState>
        )}
        {!isLoading && fault === null && items.length === 0 && (
          <Nothing isFiltered={isFiltered} isTrash={isTrash} />
        )}
        {isLoading && items.length === 0 && (
          <EmptyState icon={LoaderCircle} title={t("panels.gallery.loading")} />
        )}
        {items.length > 0 && (
          <GalleryGrid items={items} size={size} onEnd={() => void loadMore()} />
        )}
      </div>
    </div>
  );
}

function Nothing({ isFiltered, isTrash }: Readonly<Record<"isFiltered" | "isTrash", boolean>>) {
  if (isTrash) return <EmptyState icon={Trash2} title={t("library.trashEmpty")} />;
  return (
    <EmptyState
      icon={Images}
      title={t(isFiltered ? "panels.gallery.nothing" : "panels.gallery.empty")}
    >
      {t(isFiltered ? "panels.gallery.nothingHint" : "panels.gallery.emptyHint")}
    </EmptyState>
  );
}

function useSize(): readonly [number, (size: number) => void] {
  const [size, setSize] = useState(() => {
    const stored = readStored(SIZE_KEY);
    return typeof stored === "number" ? Math.min(320, Math.max(80, stored)) : 128;
  });
  const change = (next: number) => {
    setSize(next);
    writeStored(SIZE_KEY, next);
  };
  return [size, change];
}
