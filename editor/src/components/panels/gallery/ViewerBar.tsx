/** What can be done with the file that is seen large. */
import {
  ArrowLeftRight,
  Columns2,
  Copy,
  Download,
  Info,
  Maximize,
  Trash2,
  WandSparkles,
  ZoomIn,
  ZoomOut,
} from "lucide-react";
import type { ArtifactEntry } from "@/api/schema";
import { isReadable } from "@/components/results/kinds";
import { resultItems } from "@/components/results/resultItems";
import { IconButton, MenuButton, Select, tip } from "@/components/ui";
import { t } from "@/i18n";
import styles from "../Viewer.module.css";
import { copyPicture, download } from "./actions";
import type { CompareMode } from "./Stage";
import type { Zoom } from "./useZoom";

interface Props {
  readonly artifact: ArtifactEntry;
  readonly zoom: Zoom;
  readonly mode: CompareMode;
  /** Whether pictures are seen, and no viewers of other kinds. */
  readonly canZoom: boolean;
  readonly isComparing: boolean;
  readonly canCompare: boolean;
  readonly hasFacts: boolean;
  readonly onMode: (mode: CompareMode) => void;
  readonly onSwap: () => void;
  readonly onToggleCompare: () => void;
  readonly onToggleFacts: () => void;
  readonly onRemove: () => void;
  /** Close the viewer, as what is done shows something else. */
  readonly onClose: () => void;
}

export function ViewerBar(props: Props) {
  const { artifact, zoom, mode, canZoom, isComparing, canCompare, hasFacts } = props;
  const { onMode, onSwap, onToggleCompare, onToggleFacts, onRemove, onClose } = props;
  return (
    <div className={styles.actions}>
      {isComparing && (
        <>
          <Select
            className={styles.mode}
            disabled={!canZoom}
            label={t("panels.viewer.mode")}
            value={mode}
            onChange={(value) => onMode(value as CompareMode)}
            options={(["slider", "side", "difference"] as const).map((value) => ({
              value,
              label: t(`panels.viewer.mode.${value}`),
            }))}
          />
          <IconButton
            icon={ArrowLeftRight}
            label={t("panels.viewer.swap")}
            keys="x"
            onClick={onSwap}
          />
        </>
      )}
      <IconButton
        icon={Columns2}
        label={t("panels.viewer.compare")}
        keys="c"
        pressed={isComparing}
        disabled={!canCompare}
        onClick={onToggleCompare}
      />
      <span className={styles.gap} />
      {canZoom && <ZoomButtons zoom={zoom} />}
      {isReadable(artifact) && (
        <MenuButton
          icon={WandSparkles}
          label={t("results.heading")}
          align="end"
          items={() => resultItems(artifact, { before: onClose })}
        />
      )}
      {canZoom && (
        <IconButton
          icon={Copy}
          label={t("panels.gallery.copy")}
          onClick={() => void copyPicture(artifact)}
        />
      )}
      <IconButton
        icon={Download}
        label={t("panels.gallery.download")}
        keys="d"
        onClick={() => download([artifact])}
      />
      <IconButton icon={Trash2} label={t("library.toTrash")} keys="Delete" onClick={onRemove} />
      <IconButton
        icon={Info}
        label={t("panels.viewer.facts")}
        keys="i"
        pressed={hasFacts}
        onClick={onToggleFacts}
      />
    </div>
  );
}

function ZoomButtons({ zoom }: { readonly zoom: Zoom }) {
  return (
    <>
      <IconButton
        icon={ZoomOut}
        label={t("panels.viewer.smaller")}
        keys="-"
        onClick={() => zoom.step(-1)}
      />
      <button
        type="button"
        className={styles.scale}
        {...tip(t("panels.viewer.actual"), "z")}
        onClick={zoom.actual}
      >
        {Math.round(zoom.view.scale * 100)} %
      </button>
      <IconButton
        icon={ZoomIn}
        label={t("panels.viewer.larger")}
        keys="+"
        onClick={() => zoom.step(1)}
      />
      <IconButton icon={Maximize} label={t("panels.viewer.fit")} keys="f" onClick={zoom.fit} />
      <span className={styles.gap} />
    </>
  );
}
