import type { CSSProperties } from "react";
import { t } from "@/i18n";
import type { CanvasBox, Placement } from "@/model/painting/types";
import styles from "./Stage.module.css";
import type { StageProps } from "./stageProps";

interface Props {
  readonly candidate: StageProps["candidate"];
  readonly progress: StageProps["progress"];
  readonly box: CanvasBox;
}

/** What was generated, or is being generated, where it would lie on the canvas. */
export function ResultFrame({ candidate, progress, box }: Props) {
  return (
    <>
      {candidate !== null && (
        <img
          className={styles.result}
          style={{ ...laid(candidate.placement), opacity: candidate.opacity ?? 1 }}
          src={candidate.url}
          alt={t("stage.candidate")}
          draggable={false}
          data-candidate=""
        />
      )}
      {progress !== null && (
        <div className={styles.result} style={laid({ ...box, rotation: 0 })}>
          {progress.preview !== null && (
            <img src={progress.preview} alt={t("stage.preview")} draggable={false} />
          )}
          <div
            role="progressbar"
            aria-label={t("stage.progress")}
            aria-valuenow={Math.round(progress.share * 100)}
            className={styles.progress}
            style={{ "--share": progress.share } as CSSProperties}
          />
        </div>
      )}
    </>
  );
}

/** In pixels of the canvas: the stylesheet scales and moves them with the view. */
function laid({ x, y, width, height, rotation }: Placement): CSSProperties {
  return {
    "--left": x,
    "--top": y,
    "--width": width,
    "--height": height,
    "--turn": `${rotation}deg`,
  } as CSSProperties;
}
