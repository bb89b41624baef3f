/** The pictures and files that a node gave last, in its card. */
import { File as FileIcon, History } from "lucide-react";
import { memo, Suspense } from "react";
import { thumbnailAddress } from "@/api/client";
import type { ArtifactEntry } from "@/api/schema";
import { tip } from "@/components/ui";
import { viewKind, withoutPicturesBeside } from "@/components/viewers/kinds";
import { SmallPlot } from "@/components/viewers/live";
import { useNodeOutputs, useNodePictures, usePlannedFiles } from "@/hooks/useNodeRun";
import { t } from "@/i18n";
import { useUi } from "@/store/ui";
import styles from "./CardResults.module.css";
import { CardText } from "./CardText";
import { usePlace } from "./view";

/** More than these are behind the last one. */
const MOST = 4;

interface ResultsProps {
  readonly name: string;
  readonly title: string;
}

export const CardResults = memo(function CardResults({ name, title }: ResultsProps) {
  const place = usePlace();
  const planned = usePlannedFiles(place, name);
  const last = useNodeOutputs(place, name);
  if (planned.length === 0 && last.length === 0) return null;
  return <Results name={name} title={title} planned={planned} last={last} />;
});

interface FilesProps extends ResultsProps {
  readonly planned: readonly ArtifactEntry[];
  readonly last: readonly ArtifactEntry[];
}

function Results({ name, title, planned, last }: FilesProps) {
  const { files, isEarlier } = useNodePictures(usePlace(), name, planned, last);
  const results = withoutPicturesBeside(files, isSeen);
  if (results.length === 0) return null;
  const shown = results.slice(0, MOST);
  const more = results.length - shown.length;
  return (
    <div className={styles.results} data-count={shown.length} data-earlier={isEarlier || undefined}>
      {isEarlier && (
        <span className={styles.earlier} {...tip(t("canvas.card.earlierTip"))}>
          <History size={12} aria-hidden />
          {t("canvas.card.earlier")}
        </span>
      )}
      {shown.map((artifact, index) => (
        <button
          key={`${artifact.job}/${artifact.name}/${artifact.digest}`}
          type="button"
          className={`${styles.result} nodrag`}
          tabIndex={-1}
          aria-label={t("canvas.card.result", { file: artifact.name, name: title })}
          onClick={() => useUi.getState().openDialog("viewer", { artifact, list: results })}
        >
          <Picture artifact={artifact} isLone={shown.length === 1} />
          {more > 0 && index === MOST - 1 && <span className={styles.more}>+{more}</span>}
        </button>
      ))}
    </div>
  );
}

function Picture({
  artifact,
  isLone,
}: {
  readonly artifact: ArtifactEntry;
  readonly isLone: boolean;
}) {
  const address = thumbnailAddress(artifact, isLone ? 512 : 256);
  if (artifact.media_type.startsWith("text/plain")) {
    return <CardText digest={artifact.digest} name={artifact.name} />;
  }
  if (viewKind(artifact) === "plot") {
    return (
      <Suspense fallback={<span className={styles.file}>{artifact.name}</span>}>
        <SmallPlot artifact={artifact} />
      </Suspense>
    );
  }
  if (address === null) {
    return (
      <span className={styles.file}>
        <FileIcon size={16} aria-hidden />
        {artifact.name}
      </span>
    );
  }
  return <img src={address} alt="" draggable={false} loading="lazy" decoding="async" />;
}

/** Whether a card shows more of a file than its name. */
function isSeen(artifact: ArtifactEntry): boolean {
  return artifact.thumbnail !== null || viewKind(artifact) === "plot";
}
