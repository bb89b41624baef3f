import { Download, FileIcon, ImageIcon } from "lucide-react";
import { useMemo } from "react";
import { artifactAddress, thumbnailAddress } from "@/api/client";
import type { ArtifactEntry } from "@/api/schema";
import { EmptyState } from "@/components/ui";
import { readable } from "@/components/widgets";
import { t } from "@/i18n";
import { typeOf } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { isEnded, jobsOfDocument, lastOutputs, shownJob, useJobs } from "@/store/jobs";
import { useUi } from "@/store/ui";
import styles from "./AppMode.module.css";

/** What the document's runs gave: the newest in full, those before as small pictures. */
export function AppResults() {
  const outputs = useOutputs();
  const earlier = useEarlier();
  const preview = usePreview();
  const isEmpty = outputs.every(({ files }) => files.length === 0) && preview === null;
  return (
    <section className={styles.results} aria-label={t("appmode.results")}>
      {preview !== null && (
        <figure className={styles.preview}>
          <img
            className={styles.large}
            src={preview.address}
            alt={t("appmode.preview", { node: preview.node })}
          />
        </figure>
      )}
      {preview === null &&
        outputs.map(({ node, label, files }) => (
          <OutputFiles key={node} label={outputs.length > 1 ? label : null} files={files} />
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
}

/** The nodes that give files, with what they gave last. */
function useOutputs(): readonly Output[] {
  const types = useCatalogue((state) => state.types);
  const { id, workflow } = useActive((document, w) => ({ id: document.id, workflow: w }));
  const jobs = useJobs();
  return useMemo(() => {
    const found = lastOutputs(jobs, id);
    const sinks = [...workflow.nodes].filter(
      ([name, entry]) =>
        entry.mode === null &&
        (found.has(name) || (types && typeOf(types, workflow, entry)?.output === true)),
    );
    return sinks.map(([node, entry]) => ({
      node,
      label: entry.label || readable(node),
      files: filesOf(found, node),
    }));
  }, [types, workflow, jobs, id]);
}

/** Those of a node and, if it is a block, of the nodes in it. */
function filesOf(
  outputs: ReadonlyMap<string, readonly ArtifactEntry[]>,
  node: string,
): readonly ArtifactEntry[] {
  return [...outputs].flatMap(([name, files]) =>
    name === node || name.startsWith(`${node}/`) ? files : [],
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

/** The newest picture of what is being made. */
function usePreview(): { readonly node: string; readonly address: string } | null {
  const id = useActive((document) => document.id);
  const address = useJobs((state) => previewOf(state, id)?.address ?? null);
  const node = useJobs((state) => previewOf(state, id)?.node ?? "");
  return address === null ? null : { node, address };
}

function previewOf(state: ReturnType<typeof useJobs.getState>, document: string) {
  const job = shownJob(state, document);
  if (job === null || isEnded(job)) return null;
  for (const [node, run] of job.nodes) {
    if (run.state === "running" && run.preview !== null) return { node, address: run.preview };
  }
  return null;
}

function OutputFiles(props: { label: string | null; files: readonly ArtifactEntry[] }) {
  const { label, files } = props;
  if (files.length === 0) return null;
  return (
    <section className={styles.output} aria-label={label ?? t("appmode.outputs")}>
      {label !== null && <h2 className={styles.outputName}>{label}</h2>}
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
  return (
    <figure className={styles.result}>
      <Opener file={file} list={list} size={large ? null : 512} />
      <figcaption>
        <span>{file.name}</span>
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
  /** Of the small picture; null for the picture itself. */
  readonly size: 128 | 512 | null;
}

function Opener({ file, list, size }: OpenerProps) {
  const isPicture = file.thumbnail !== null;
  const look = size === null ? styles.large : size === 128 ? styles.small : styles.even;
  const source = size === null ? artifactAddress(file.digest) : thumbnailAddress(file, size);
  return (
    <button
      type="button"
      className={styles.opener}
      aria-label={t("appmode.open", { name: file.name })}
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
