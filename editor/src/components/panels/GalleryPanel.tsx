/** All that jobs gave, the newest first: looked through, searched, compared, opened, deleted. */
import { Columns2, Download, Images, LoaderCircle, RefreshCw, Trash2, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { Button, EmptyState, IconButton, SearchField, Select, Slider } from "@/components/ui";
import { t } from "@/i18n";
import { useGallery } from "@/store/gallery";
import { notifyFault } from "@/store/notices";
import { readStored, writeStored } from "@/store/persisted";
import { useUi } from "@/store/ui";
import styles from "./GalleryPanel.module.css";
import { download, keyOf, removeAll } from "./gallery/actions";
import { GalleryGrid } from "./gallery/GalleryGrid";
import panel from "./lib/Panel.module.css";

const KINDS = [
  "all",
  "image",
  "video",
  "audio",
  "mesh",
  "points",
  "molecule",
  "plot",
  "text",
  "other",
] as const;
const SIZE_KEY = "nodegraph.gallery.size";
const PAUSE = 250;

export default function GalleryPanel() {
  const items = useGallery((gallery) => gallery.items);
  const state = useGallery((gallery) => gallery.state);
  const problem = useGallery((gallery) => gallery.problem);
  const text = useGallery((gallery) => gallery.text);
  const kind = useGallery((gallery) => gallery.kind);
  const { open, reload, filter } = useGallery.getState();
  const [size, setSize] = useSize();
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const [query, setQuery] = useSearch(text);
  useEffect(() => {
    void open();
  }, [open]);
  const chosen = items.filter((item) => marked.has(keyOf(item)));
  const isFiltered = text !== "" || kind !== null;
  return (
    <div className={panel.panel}>
      <div className={panel.bar}>
        {chosen.length > 0 ? (
          <Chosen items={chosen} onClear={() => setMarked(new Set())} />
        ) : (
          <>
            <div className={panel.grow}>
              <SearchField value={query} onChange={setQuery} label={t("panels.gallery.search")} />
            </div>
            <Select
              className={styles.kind}
              label={t("panels.gallery.kind")}
              value={kind ?? "all"}
              onChange={(value) => void filter({ kind: value === "all" ? null : value })}
              options={KINDS.map((value) => ({ value, label: t(`panels.gallery.kind.${value}`) }))}
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
              onClick={() => void reload()}
            />
          </>
        )}
      </div>
      {state === "failed" && (
        <EmptyState icon={Images} title={problem ?? t("panels.gallery.failed")}>
          <Button size="s" onClick={() => void reload()}>
            {t("panels.gallery.again")}
          </Button>
        </EmptyState>
      )}
      {state === "ready" && items.length === 0 && (
        <EmptyState
          icon={Images}
          title={t(isFiltered ? "panels.gallery.nothing" : "panels.gallery.empty")}
        >
          {t(isFiltered ? "panels.gallery.nothingHint" : "panels.gallery.emptyHint")}
        </EmptyState>
      )}
      {state === "loading" && items.length === 0 && (
        <EmptyState icon={LoaderCircle} title={t("panels.gallery.loading")} />
      )}
      {items.length > 0 && (
        <GalleryGrid
          items={items}
          size={size}
          marked={marked}
          onMark={setMarked}
          onEnd={() => void more()}
        />
      )}
    </div>
  );
}

async function more(): Promise<void> {
  try {
    await useGallery.getState().loadMore();
  } catch (fault) {
    notifyFault(fault, { key: "gallery-more" });
  }
}

/** The text as it is typed; the server is asked after a short pause. */
function useSearch(asked: string): readonly [string, (text: string) => void] {
  const [text, setText] = useState(asked);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void useGallery.getState().search(next), PAUSE);
  };
  return [text, type];
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

interface ChosenProps {
  readonly items: readonly ArtifactEntry[];
  readonly onClear: () => void;
}

/** What can be done with those that are marked. */
function Chosen({ items, onClear }: ChosenProps) {
  const openDialog = useUi((ui) => ui.openDialog);
  const [first] = items;
  const remove = async () => {
    await removeAll(items);
    onClear();
  };
  return (
    <>
      <span className={`${panel.grow} ${panel.count}`} role="status">
        {t("panels.gallery.marked", { count: items.length })}
      </span>
      <Button
        size="s"
        icon={Columns2}
        disabled={items.length < 2}
        onClick={() => openDialog("viewer", { artifact: first, list: items, compare: true })}
      >
        {t("panels.gallery.compare")}
      </Button>
      <Button size="s" icon={Download} onClick={() => download(items)}>
        {t("panels.gallery.download")}
      </Button>
      <Button size="s" icon={Trash2} onClick={() => void remove()}>
        {t("panels.gallery.delete")}
      </Button>
      <IconButton icon={X} size="s" label={t("panels.gallery.unmark")} onClick={onClear} />
    </>
  );
}
