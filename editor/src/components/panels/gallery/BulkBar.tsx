/** What can be done with the results that are marked. */
import {
  Columns2,
  Download,
  GitCompare,
  LayoutGrid,
  RotateCcw,
  SquareCheck,
  Tags,
  Trash2,
  X,
} from "lucide-react";
import { useRef } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { IconButton, MenuButton } from "@/components/ui";
import { t } from "@/i18n";
import { markAllResults, useGallery } from "@/store/gallery";
import { mark, restore, trash } from "@/store/library";
import { notifyFault } from "@/store/notices";
import { useUi } from "@/store/ui";
import panel from "../lib/Panel.module.css";
import { Stars } from "../lib/Stars";
import { boardItems, download, removeAll } from "./actions";
import styles from "./BulkBar.module.css";

/** Compare the workflows of jobs; what compares is fetched only now. */
async function compareThese(jobs: readonly string[]): Promise<void> {
  const { compareJobs } = await import("@/components/comparison/sides");
  compareJobs(jobs);
}

export function BulkBar({ items }: { readonly items: readonly ArtifactEntry[] }) {
  const isTrash = useGallery((gallery) => gallery.isTrash);
  const openDialog = useUi((ui) => ui.openDialog);
  const [first] = items;
  const stars = items.every((item) => item.stars === first?.stars) ? (first?.stars ?? 0) : 0;
  const jobs = [...new Set(items.map(({ job }) => job))];
  const bar = useRef<HTMLDivElement>(null);
  const clear = () => {
    // The bar goes, and with it the focus: back to the results.
    const gallery = bar.current?.closest("[data-gallery]");
    gallery?.querySelector<HTMLElement>("[role=gridcell][tabindex='0']")?.focus();
    useGallery.getState().mark([]);
  };
  return (
    <div
      ref={bar}
      className={styles.bar}
      role="toolbar"
      aria-label={t("library.bulk")}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        clear();
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <span className={`${styles.count} ${panel.count}`} role="status">
        {t("panels.gallery.marked", { count: items.length })}
      </span>
      {isTrash ? (
        <>
          <IconButton
            icon={RotateCcw}
            label={t("library.restore")}
            onClick={() => void restore(items)}
          />
          <IconButton
            icon={Trash2}
            danger
            label={t("library.deleteForGood")}
            keys="Delete"
            onClick={() => void removeAll(items)}
          />
        </>
      ) : (
        <>
          <Stars hasKeys value={stars} onChange={(next) => void mark(items, { stars: next })} />
          <IconButton
            icon={Tags}
            label={t("library.tags")}
            keys="t"
            onClick={() => openDialog("organize", { artifacts: items })}
          />
          <MenuButton
            icon={LayoutGrid}
            label={t("library.toBoard")}
            items={() => boardItems(items)}
          />
          <IconButton
            icon={Columns2}
            label={t("panels.gallery.compare")}
            keys="c"
            disabled={items.length < 2}
            onClick={() => openDialog("viewer", { artifact: first, list: items, compare: true })}
          />
          <IconButton
            icon={GitCompare}
            label={t("panels.gallery.compareWorkflows")}
            disabled={jobs.length < 2}
            onClick={() => void compareThese(jobs)}
          />
          <IconButton
            icon={Download}
            label={t("panels.gallery.download")}
            keys="d"
            onClick={() => download(items)}
          />
          <IconButton
            icon={Trash2}
            label={t("library.toTrash")}
            keys="Delete"
            onClick={() => void trash(items)}
          />
        </>
      )}
      <span className={styles.gap} />
      <IconButton
        icon={SquareCheck}
        size="s"
        label={t("library.selectAll")}
        keys="mod+a"
        onClick={() => void markAllResults().catch(notifyFault)}
      />
      <IconButton
        icon={X}
        size="s"
        label={t("panels.gallery.unmark")}
        keys="Escape"
        onClick={clear}
      />
    </div>
  );
}
