/** Where in the workflow's blocks the canvas is, and the way out. */
import { ChevronRight, Layers } from "lucide-react";
import { Fragment } from "react";
import { t } from "@/i18n";
import { useActive, useDocuments } from "@/store/documents";
import styles from "./Breadcrumb.module.css";

export function Breadcrumb() {
  const path = useActive((document) => document.path);
  const title = useActive((_, workflow) => workflow.title);
  if (path.length === 0) return null;
  const leave = (depth: number) => useDocuments.getState().leave(depth);
  return (
    <nav className={styles.crumbs} aria-label={t("canvas.block.path")}>
      <button type="button" className={styles.crumb} onClick={() => leave(0)}>
        {title || t("canvas.block.root")}
      </button>
      {path.map((block, index) => (
        <Fragment key={path.slice(0, index + 1).join("/")}>
          <ChevronRight size={14} aria-hidden className={styles.between} />
          {index === path.length - 1 ? (
            <span className={styles.here} aria-current="location">
              <Layers size={13} aria-hidden />
              {block}
            </span>
          ) : (
            <button type="button" className={styles.crumb} onClick={() => leave(index + 1)}>
              {block}
            </button>
          )}
        </Fragment>
      ))}
    </nav>
  );
}
