import {
  Brush,
  Download,
  ImageIcon,
  ImagePlus,
  type LucideIcon,
  MoreHorizontal,
  Scaling,
  Scissors,
  Settings2,
  Shuffle,
  Smile,
  Trash2,
  Workflow,
  X,
} from "lucide-react";
import { memo, useEffect, useMemo, useRef } from "react";
import { artifactAddress, thumbnailAddress } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { download } from "@/components/panels/gallery/actions";
import { progressText } from "@/components/panels/queue/states";
import { resultDrag } from "@/components/results/dragging";
import { EmptyState, IconButton, MenuButton, type MenuEntry, Progress, tip } from "@/components/ui";
import { t } from "@/i18n";
import { problemText } from "@/i18n/format";
import type { Task } from "@/model/generate";
import { mayRun, useConnection } from "@/store/connection";
import { useGenerate } from "@/store/generate";
import { isEnded, type JobView, jobsOfDocument, useJobs } from "@/store/jobs";
import { jobsFollowing } from "@/store/jobsFollowing";
import { loadTrashed, trash, useLibrary } from "@/store/library";
import { cancel, forget } from "@/store/running";
import { useUi } from "@/store/ui";
import { act, openGraph, paintOver, reuse, startFrom } from "./actions";
import styles from "./Results.module.css";

/** Jobs whose images are shown. */
const MOST_SHOWN = 60;

/** What the page has made, the newest first. */
export function Results() {
  const id = useGenerate((page) => page.id);
  const all = useJobs((state) => state);
  const jobs = useMemo(() => jobsOfDocument(all, id).slice(0, MOST_SHOWN), [all, id]);
  const place = useSeen(jobs);
  useLoaded(jobs);
  const trashed = useLibrary((library) => library.trashed);
  useEffect(() => {
    // Without it, images of the trash are shown too.
    loadTrashed().catch(() => undefined);
  }, []);
  const shown = jobs.filter(
    (job) => !isEnded(job) || job.state === "failed" || imagesOf(job, trashed).length > 0,
  );
  return (
    <section ref={place} data-results className={styles.results} aria-label={t("generate.results")}>
      {shown.length === 0 ? (
        <div className={styles.empty}>
          <EmptyState icon={ImageIcon} title={t("generate.nothing")}>
            {t("generate.nothingHint")}
          </EmptyState>
        </div>
      ) : (
        <ul className={styles.grid}>
          {shown.map((job) => (
            <JobTiles key={job.id} job={job} trashed={trashed} />
          ))}
        </ul>
      )}
    </section>
  );
}

/** What is new comes into view: on a phone it is below the settings. */
function useSeen(jobs: readonly JobView[]) {
  const place = useRef<HTMLElement>(null);
  const newest = jobs[0]?.id ?? "";
  const open = jobs.some((job) => !isEnded(job));
  const seen = useRef(newest);
  useEffect(() => {
    if (seen.current === newest) return;
    seen.current = newest;
    if (!open) return;
    place.current?.scrollTo?.({ top: 0 });
    place.current?.scrollIntoView?.({ block: "start", behavior: "smooth" });
  }, [newest, open]);
  return place;
}

/** Bring the images of jobs that ended before the page was opened. */
function useLoaded(jobs: readonly JobView[]): void {
  useEffect(() => {
    for (const { id, state, isWhole, outputs } of jobs) {
      if (state !== "finished" || isWhole || outputs.length > 0) continue;
      void jobsFollowing()
        ?.loadJob(id)
        .catch(() => undefined);
    }
  }, [jobs]);
}

type Digests = ReadonlySet<string>;

function imagesOf({ outputs }: JobView, trashed: Digests): readonly ArtifactEntry[] {
  return outputs.filter(
    ({ media_type, digest }) => media_type.startsWith("image/") && !trashed.has(digest),
  );
}

interface TilesProps {
  readonly job: JobView;
  readonly trashed: Digests;
}

function JobTiles({ job, trashed }: TilesProps) {
  if (job.state === "failed") return <FailedTile job={job} />;
  const images = imagesOf(job, trashed);
  if (!isEnded(job) && images.length === 0) return <OpenTile job={job} />;
  return images.map((artifact) => (
    <ImageTile key={`${artifact.node}/${artifact.digest}`} artifact={artifact} />
  ));
}

/** An image that is being made: what it looks like so far. */
function OpenTile({ job }: { readonly job: JobView }) {
  const preview = [...job.nodes.values()].find((node) => node.preview !== null)?.preview ?? null;
  return (
    <li className={styles.tile}>
      <div className={styles.open}>
        {preview !== null && (
          <img className={styles.image} src={preview} alt={t("generate.preview")} />
        )}
        <div className={styles.making}>
          <Progress
            value={job.state === "running" ? job.progress : null}
            label={t("generate.progress")}
          />
          <span className={styles.state}>{progressText(job)}</span>
        </div>
        <IconButton
          icon={X}
          label={t("generate.cancelOne")}
          className={styles.corner}
          disabled={job.wanted === "cancel"}
          onClick={() => void cancel(job.id)}
        />
      </div>
    </li>
  );
}

function FailedTile({ job }: { readonly job: JobView }) {
  return (
    <li className={styles.tile}>
      <div className={styles.failed}>
        <strong>{t("generate.failed")}</strong>
        <p>{job.error ? problemText(job.error) : t("appmode.failed")}</p>
        <IconButton
          icon={X}
          label={t("generate.dismiss")}
          className={styles.corner}
          onClick={() => void forget(job.id)}
        />
      </div>
    </li>
  );
}

/** Show an image in full, among all that the page shows. */
function view(artifact: ArtifactEntry): void {
  const jobs = jobsOfDocument(useJobs.getState(), useGenerate.getState().id);
  const { trashed } = useLibrary.getState();
  const list = jobs.slice(0, MOST_SHOWN).flatMap((job) => imagesOf(job, trashed));
  useUi.getState().openDialog("viewer", { artifact, list });
}

/** Drawn anew only as it changes itself: while others are made, the jobs change many times a second. */
const ImageTile = memo(function ImageTile({ artifact }: { readonly artifact: ArtifactEntry }) {
  const { name } = artifact;
  const allowed = useConnection(mayRun);
  const isSmall = (artifact.width ?? 0) <= 512;
  const source = isSmall ? artifactAddress(artifact.digest) : thumbnailAddress(artifact, 512);
  const prompt = useJobs(({ jobs }) => jobs.get(artifact.job)?.name ?? "");
  return (
    <li className={styles.tile}>
      <figure className={styles.figure} aria-label={prompt || name}>
        <button
          type="button"
          className={styles.opener}
          aria-label={t("appmode.open", { name })}
          {...resultDrag(artifact)}
          onClick={() => view(artifact)}
        >
          <img
            className={styles.image}
            src={source ?? artifactAddress(artifact.digest)}
            alt=""
            decoding="async"
            draggable={false}
          />
          {artifact.width !== null && (
            <span className={styles.size}>
              {artifact.width} × {artifact.height}
            </span>
          )}
        </button>
        <figcaption className={styles.actions}>
          <Action
            icon={Shuffle}
            label={t("generate.task.image")}
            disabled={!allowed}
            onClick={() => void act("image", artifact)}
          />
          <Action
            icon={Scaling}
            label={t("generate.task.upscale")}
            disabled={!allowed}
            onClick={() => void act("upscale", artifact)}
          />
          <Action
            icon={Brush}
            label={t("generate.inpaint")}
            disabled={!allowed}
            onClick={() => void paintOver(artifact)}
          />
          <span className={styles.gap} />
          <IconButton
            icon={Settings2}
            label={t("generate.reuse")}
            onClick={() => void reuse(artifact)}
          />
          <IconButton
            icon={Workflow}
            label={t("generate.openGraph")}
            onClick={() => void openGraph(artifact)}
          />
          <MenuButton
            icon={MoreHorizontal}
            label={t("generate.moreActions", { name })}
            items={() => moreOf(artifact, allowed)}
          />
        </figcaption>
      </figure>
    </li>
  );
});

interface ActionProps {
  readonly icon: LucideIcon;
  readonly label: string;
  readonly disabled: boolean;
  readonly onClick: () => void;
}

/** What is done most, with its name where there is room for it. */
function Action({ icon: Icon, label, disabled, onClick }: ActionProps) {
  return (
    <button
      type="button"
      className={styles.action}
      aria-label={label}
      disabled={disabled}
      onClick={onClick}
      {...tip(label)}
    >
      <Icon aria-hidden size={16} />
      <span className={styles.actionName}>{label}</span>
    </button>
  );
}

const BACKGROUNDS: readonly Task[] = ["cutout", "color", "background"];

function moreOf(artifact: ArtifactEntry, allowed: boolean): readonly MenuEntry[] {
  const item = (task: Task) => ({
    label: t(`generate.task.${task}`),
    disabled: !allowed,
    run: () => void act(task, artifact),
  });
  return [
    { ...item("face"), icon: Smile },
    { label: t("generate.background"), icon: Scissors, items: BACKGROUNDS.map(item) },
    {
      label: t("generate.startFrom"),
      icon: ImagePlus,
      run: () => void startFrom(artifact),
    },
    "separator",
    { label: t("generate.download"), icon: Download, run: () => download([artifact]) },
    {
      label: t("library.toTrash"),
      icon: Trash2,
      disabled: !allowed,
      run: () => void trash([artifact]),
    },
  ];
}
