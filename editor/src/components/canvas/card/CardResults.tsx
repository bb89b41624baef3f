/** The pictures and files that a node gave last, in its card. */
import { File as FileIcon, History, Image as ImageIcon } from "lucide-react";
import { memo, type ReactNode, Suspense } from "react";
import { thumbnailAddress } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { vars } from "@/components/canvas/vars";
import { usePlace } from "@/components/canvas/view";
import { resultDrag } from "@/components/results/dragging";
import { ResultButton } from "@/components/results/ResultButton";
import { lazyPart } from "@/components/shell/lazyPart";
import { tip } from "@/components/ui";
import { sizeText, viewKind, withoutPicturesBeside } from "@/components/viewers/kinds";
import { SmallPlot } from "@/components/viewers/live";
import { useFoundFiles, useNodeOutputs, useNodePictures } from "@/hooks/useNodeRun";
import { t } from "@/i18n";
import type { FoundFiles } from "@/store/plan";
import { useUi } from "@/store/ui";
import type { PlayerProps } from "./CardPlayer";
import styles from "./CardResults.module.css";
import { CardText } from "./CardText";

/** Fetched with the first video or sound. */
const CardPlayer = lazyPart<PlayerProps>(() => import("./CardPlayer"));
/** More than these are behind the last one. */
const MOST = 4;
/** Pixels of the largest small pictures; what is drawn larger is shown itself. */
const LARGE = 512;
/** How many times wider than high a place for pictures gets, and higher than wide. */
const WIDEST = 3;
const HIGHEST = 1.5;
/** Of a sound its waveform is seen, or just its name. */
const SOUND = 3;
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
          <Played artifact={artifact} node={name} width={width / columns}>
            {(seen) => (
              <button
                type="button"
                className={`${styles.result} nodrag`}
                tabIndex={-1}
                aria-label={t("canvas.card.result", { file: artifact.name, name: title })}
                onClick={() => useUi.getState().openDialog("viewer", { artifact, list: results })}
                {...resultDrag(artifact, name)}
              >
                {seen}
                {more > 0 && index === MOST - 1 && <span className={styles.more}>+{more}</span>}
                <SizeLabel artifact={artifact} width={width / columns} />
              </button>
            )}
          </Played>
          <ResultButton artifact={artifact} node={name} over tabIndex={-1} />
        </div>
      ))}
    </div>
  );
}

interface PictureProps {
  readonly artifact: ArtifactEntry;
  /** Pixels that it has in the card. */
  readonly width: number;
}

interface PlayedProps extends PictureProps {
  readonly node: string;
  readonly children: (seen: ReactNode) => ReactNode;
}

/** A result as it is seen, with the controls of what plays. */
function Played({ artifact, width, node, children }: PlayedProps) {
  const kind = viewKind(artifact);
  if (kind === "video" || kind === "sound") {
    return (
      <Suspense fallback={children(<Picture artifact={artifact} width={width} />)}>
        <CardPlayer artifact={artifact} kind={kind} node={node}>
          {children}
        </CardPlayer>
      </Suspense>
    );
  }
  return children(<Picture artifact={artifact} width={width} />);
}

/** Pixels below which a size would cover what it is of. */
const ROOM_FOR_SIZE = 110;

function SizeLabel({ artifact, width }: PictureProps) {
  const size = sizeText(artifact);
  if (size === null || width < ROOM_FOR_SIZE) return null;
  // Drawn by a style: what the button is called says what it does, and no more.
  return <span className={styles.size} data-text={size} />;
}

function Picture({ artifact, width }: PictureProps) {
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
  if (artifact && viewKind(artifact) === "sound") return SOUND;
  const { width, height } = artifact ?? { width: null, height: null };
  if (!width || !height) return 1;
  return Math.min(WIDEST, Math.max(1 / HIGHEST, width / height));
}

/** Whether a card shows more of a file than its name. */
function isSeen(artifact: ArtifactEntry): boolean {
  return artifact.thumbnail !== null || viewKind(artifact) === "plot";
}
