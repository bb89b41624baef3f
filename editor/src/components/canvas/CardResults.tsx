/** The pictures and files that a node gave last, in its card. */
import { File as FileIcon, History, Image as ImageIcon } from "lucide-react";
import { memo, Suspense } from "react";
import { thumbnailAddress } from "@/api/client";
import type { ArtifactEntry } from "@/api/schema";
import { resultDrag } from "@/components/results/dragging";
import { ResultButton } from "@/components/results/ResultButton";
import { tip } from "@/components/ui";
import { viewKind, withoutPicturesBeside } from "@/components/viewers/kinds";
import { SmallPlot } from "@/components/viewers/live";
import { useFoundFiles, useNodeOutputs, useNodePictures } from "@/hooks/useNodeRun";
import { t } from "@/i18n";
import type { FoundFiles } from "@/store/plan";
import { useUi } from "@/store/ui";
import styles from "./CardResults.module.css";
import { CardText } from "./CardText";
import { vars } from "./vars";
import { usePlace } from "./view";

/** More than these are behind the last one. */
const MOST = 4;
/** Pixels of the largest small pictures; what is drawn larger is shown itself. */
const LARGE = 512;
/** How many times wider than high a place for pictures gets, and higher than wide. */
const WIDEST = 3;
const HIGHEST = 1.5;
/** Several that are so many times wider than high lie below each other. */
const STACKED = 2;

interface ResultsProps {
  readonly name: string;
  readonly title: string;
  /** Of the card. */
  readonly width: number;
}

interface CardResultsProps extends ResultsProps {
  /** Whether there is room for pictures before there are any. */
  readonly isAwaited: boolean;
}

export const CardResults = memo(function CardResults({ isAwaited, ...props }: CardResultsProps) {
  const { name } = props;
  const place = usePlace();
  const found = useFoundFiles(place, name);
  const last = useNodeOutputs(place, name);
  if (found === null && last.length === 0) return isAwaited ? <Awaited /> : null;
  return <Results {...props} found={found} last={last} />;
});

/** Where the pictures will be: the card is as large before the first run as after it. */
function Awaited() {
  return (
    <div className={styles.awaited} data-grows>
      <ImageIcon size={28} strokeWidth={1.5} aria-hidden />
      {t("canvas.card.awaited")}
    </div>
  );
}

interface FilesProps extends ResultsProps {
  readonly found: FoundFiles | null;
  readonly last: readonly ArtifactEntry[];
}

function Results({ name, title, width, found, last }: FilesProps) {
  const { files, isEarlier } = useNodePictures(usePlace(), name, found, last);
  const results = withoutPicturesBeside(files, isSeen);
  if (results.length === 0) return null;
  const shown = results.slice(0, MOST);
  const more = results.length - shown.length;
  const aspect = aspectOf(shown[0]);
  const columns = shown.length === 1 || aspect >= STACKED ? 1 : 2;
  return (
    <div
      className={styles.results}
      data-grows
      data-columns={columns}
      data-earlier={isEarlier || undefined}
      style={vars({ "--aspect": String(aspect) })}
    >
      {isEarlier && (
        <span className={styles.earlier} {...tip(t("canvas.card.earlierTip"))}>
          <History size={12} aria-hidden />
          {t("canvas.card.earlier")}
        </span>
      )}
      {shown.map((artifact, index) => (
        <div key={`${artifact.job}/${artifact.name}/${artifact.digest}`} className={styles.held}>
          <button
            type="button"
            className={`${styles.result} nodrag`}
            tabIndex={-1}
            aria-label={t("canvas.card.result", { file: artifact.name, name: title })}
            onClick={() => useUi.getState().openDialog("viewer", { artifact, list: results })}
            {...resultDrag(artifact, name)}
          >
            <Picture artifact={artifact} width={width / columns} />
            {more > 0 && index === MOST - 1 && <span className={styles.more}>+{more}</span>}
          </button>
          <ResultButton artifact={artifact} node={name} over tabIndex={-1} />
        </div>
      ))}
    </div>
  );
}

function Picture({
  artifact,
  width,
}: {
  readonly artifact: ArtifactEntry;
  readonly width: number;
}) {
  const address = thumbnailAddress(artifact, width > LARGE / 2 ? LARGE : 256);
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
  const source = width > LARGE && viewKind(artifact) === "image" ? artifact.href : address;
  return <img src={source} alt="" draggable={false} loading="lazy" decoding="async" />;
}

/** Width over height of what is shown, within what a card has room for. */
function aspectOf(artifact: ArtifactEntry | undefined): number {
  const { width, height } = artifact ?? { width: null, height: null };
  if (!width || !height) return 1;
  return Math.min(WIDEST, Math.max(1 / HIGHEST, width / height));
}

/** Whether a card shows more of a file than its name. */
function isSeen(artifact: ArtifactEntry): boolean {
  return artifact.thumbnail !== null || viewKind(artifact) === "plot";
}
