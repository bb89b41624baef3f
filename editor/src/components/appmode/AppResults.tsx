import { Download, FileIcon, History, ImageIcon } from "lucide-react";
import { Suspense, useMemo } from "react";
import { artifactAddress, thumbnailAddress } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { resultDrag } from "@/components/results/dragging";
import { ResultButton } from "@/components/results/ResultButton";
import { EmptyState, tip } from "@/components/ui";
import { FileView } from "@/components/viewers/FileView";
import { viewKind, withoutPicturesBeside } from "@/components/viewers/kinds";
import { LivePlot } from "@/components/viewers/live";
import { readable } from "@/components/widgets";
import { t } from "@/i18n";
import { typeOf } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { jobsOfDocument, lastOutputs, useJobs } from "@/store/jobs";
import { picturesOf } from "@/store/nodePictures";
import { type FoundFiles, type Plan, usePlan } from "@/store/plan";
import { previewOf } from "@/store/runResults";
import { useUi } from "@/store/ui";
import styles from "./AppMode.module.css";

/** What the document's runs gave: the newest in full, those before as small pictures. */
export function AppResults() {
  const outputs = useOutputs();
  const earlier = useEarlier();
  const { node, title, address, plot } = usePreview();
  const isLive = address !== null || plot !== null;
  const isEmpty = outputs.every(({ files }) => files.length === 0) && !isLive;
  return (
    <section className={styles.results} aria-label={t("appmode.results")}>
      {plot !== null && (
        <div className={styles.viewer}>
          <Suspense fallback={null}>
            <LivePlot given={plot} name={title} />
          </Suspense>
        </div>
      )}
      {address !== null && (
        <figure className={styles.preview}>
          <img className={styles.large} src={address} alt={t("appmode.preview", { node })} />
        </figure>
      )}
      {!isLive &&
        outputs.map(({ node, label, ...given }) => (
          <OutputFiles key={node} label={outputs.length > 1 ? label : null} {...given} />
        ))}
      {isEmpty && (
        <EmptyState icon={ImageIcon} title={t("appmode.noResults")}>
          {outputs.length === 0 ? t("appmode.noOutputs") : t("appmode.noResultsHint")}
        </EmptyState>
      )}
      {earlier.length > 0 && <Earlier files={earlier} />}
    </section>
  );
}

interface Output {
  readonly node: string;
  readonly label: string;
  readonly files: readonly ArtifactEntry[];
  /** Whether they may be of other values than the form has now. */
  readonly isEarlier: boolean;
}

/** The nodes that give files, with those of the form's values, or else what they gave last. */
function useOutputs(): readonly Output[] {
  const types = useCatalogue((state) => state.types);
  const { id, workflow } = useActive((document, w) => ({ id: document.id, workflow: w }));
  const jobs = useJobs();
  const lying = usePlan((plan) => (plan.document === id ? plan.found : null));
  return useMemo(() => {
    const found = lastOutputs(jobs, id);
    const filesFor = (node: string) => {
      const last = of(found, node).flat();
      return picturesOf({
        node,
        workflow,
        found: lying === null ? null : foundOf(lying, node),
        last,
        lastFor: jobs.jobs.get(last[0]?.job ?? "")?.workflow ?? null,
        isChosen: jobs.chosen.has(id),
      });
    };
    const sinks = [...workflow.nodes].filter(
      ([name, entry]) =>
        entry.mode === null &&
        (found.has(name) || (types && typeOf(types, workflow, entry)?.output === true)),
    );
    return sinks.map(([node, entry]) => ({
      node,
      label: entry.label || readable(node),
      ...filesFor(node),
    }));
  }, [types, workflow, jobs, id, lying]);
}

/** What plans found of a node, of one state of the workflow. */
function foundOf(lying: Plan["found"], node: string): FoundFiles | null {
  const all = of(lying, node);
  const [first] = all;
  if (first === undefined) return null;
  const { workflow } = first;
  const files = all.flatMap((each) => (each.workflow === workflow ? each.files : []));
  return { files, workflow };
}

/** Those of a node and, if it is a block, of the nodes in it. */
function of<T>(known: ReadonlyMap<string, T>, node: string): readonly T[] {
  return [...known].flatMap(([name, each]) =>
    name === node || name.startsWith(`${node}/`) ? [each] : [],
  );
}

const MOST_EARLIER = 24;

function useEarlier(): readonly ArtifactEntry[] {
  const id = useActive((document) => document.id);
  const jobs = useJobs();
  return useMemo(() => {
    const shown = new Set([...lastOutputs(jobs, id).values()].flat().map((file) => file.digest));
    const all = jobsOfDocument(jobs, id).flatMap((job) => job.outputs);
    const others = new Map(all.filter((file) => !shown.has(file.digest)).map((f) => [f.digest, f]));
    return [...others.values()].slice(0, MOST_EARLIER);
  }, [jobs, id]);
}

interface Preview {
  readonly node: string;
  /** As people call the node. */
  readonly title: string;
  readonly address: string | null;
  readonly plot: unknown;
}

/** The newest picture and plot of what is being made. */
function usePreview(): Preview {
  const id = useActive((document) => document.id);
  const address = useJobs((state) => previewOf(state, id)?.address ?? null);
  const plot = useJobs((state) => previewOf(state, id)?.plot ?? null);
  const node = useJobs((state) => previewOf(state, id)?.node ?? "");
  const label = useActive((_, workflow) => workflow.nodes.get(node)?.label);
  return { node, title: label || readable(node), address, plot };
}

interface FilesProps extends Omit<Output, "node" | "label"> {
  readonly label: string | null;
}

function OutputFiles({ label, files: given, isEarlier }: FilesProps) {
  const files = withoutPicturesBeside(given);
  if (files.length === 0) return null;
  return (
    <section
      className={styles.output}
      aria-label={label ?? t("appmode.outputs")}
      data-earlier={isEarlier || undefined}
    >
      {label !== null && <h2 className={styles.outputName}>{label}</h2>}
      {isEarlier && (
        <p className={styles.outdated} {...tip(t("appmode.outdatedTip"))}>
          <History size={14} aria-hidden />
          {t("appmode.outdated")}
        </p>
      )}
      <ul className={files.length === 1 ? styles.single : styles.several}>
        {files.map((file) => (
          <li key={`${file.job}/${file.name}/${file.digest}`}>
            <Result file={file} list={files} large={files.length === 1} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Earlier({ files }: { readonly files: readonly ArtifactEntry[] }) {
  return (
    <section className={styles.output} aria-label={t("appmode.earlier")}>
      <h2 className={styles.outputName}>{t("appmode.earlier")}</h2>
      <ul className={styles.strip}>
        {files.map((file) => (
          <li key={file.digest}>
            <Opener file={file} list={files} size={128} />
          </li>
        ))}
      </ul>
    </section>
  );
}

interface ResultProps {
  readonly file: ArtifactEntry;
  readonly list: readonly ArtifactEntry[];
  readonly large: boolean;
}

function Result({ file, list, large }: ResultProps) {
  const kind = viewKind(file);
  const hasViewer = kind !== "image" && kind !== "none" && (large || kind === "sound");
  return (
    <figure className={styles.result}>
      {hasViewer ? (
        <div className={styles.viewer} data-kind={kind}>
          <FileView artifact={file} />
        </div>
      ) : (
        <Opener file={file} list={list} size={large ? null : 512} />
      )}
      <figcaption>
        <span>{file.name}</span>
        <ResultButton artifact={file} className={styles.further} />
        <a
          href={artifactAddress(file.digest, { download: true })}
          download={file.name}
          className={styles.download}
          aria-label={t("appmode.download", { name: file.name })}
        >
          <Download aria-hidden size={15} />
        </a>
      </figcaption>
    </figure>
  );
}

interface OpenerProps {
  readonly file: ArtifactEntry;
  readonly list: readonly ArtifactEntry[];
  /** Of the small picture; null for the picture itself, or the first of a video. */
  readonly size: 128 | 512 | null;
}

function Opener({ file, list, size }: OpenerProps) {
  const isPicture = file.thumbnail !== null;
  const look = size === null ? styles.large : size === 128 ? styles.small : styles.even;
  const isWhole = size === null && file.media_type.startsWith("image/");
  const source = isWhole ? artifactAddress(file.digest) : thumbnailAddress(file, size ?? 512);
  return (
    <button
      type="button"
      className={styles.opener}
      aria-label={t("appmode.open", { name: file.name })}
      {...resultDrag(file)}
      onClick={() => useUi.getState().openDialog("viewer", { artifact: file, list })}
    >
      {isPicture && source !== null ? (
        <img className={look} src={source} alt="" decoding="async" />
      ) : (
        <FileIcon aria-hidden size={28} />
      )}
    </button>
  );
}
