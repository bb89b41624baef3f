/** What is known of a file: how it was made, and what differs between two. */
import { Suspense, useMemo, useState } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { lazyPart } from "@/components/shell/lazyPart";
import { Spinner } from "@/components/ui";
import { t } from "@/i18n";
import { bytes, duration, fullMoment } from "@/i18n/format";
import { typeOf } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { valueText } from "../inspector/values";
import { differences, literalsOf } from "./differences";
import styles from "./Facts.module.css";
import { madeWith } from "./madeWith";
import { type ArtifactInfo, useArtifactInfo, useMaking } from "./useArtifactInfo";
import type { Size } from "./zoom";

const Credentials = lazyPart<{ readonly artifact: ArtifactEntry }>(() =>
  import("./Credentials").then(({ Credentials }) => ({ default: Credentials })),
);

interface Props {
  readonly artifact: ArtifactEntry;
  readonly size: Size | null;
}

export function ArtifactFacts({ artifact, size }: Props) {
  const info = useArtifactInfo(artifact);
  const making = useMaking(artifact);
  const made = artifact.existed ? making?.job.finished : artifact.created;
  return (
    <>
      {info && <Parameters info={info} node={artifact.node} />}
      <section className={styles.section}>
        <h3>{t("panels.facts.file")}</h3>
        <dl>
          <Fact name={t("panels.facts.name")} value={artifact.name} />
          {size && <Fact name={t("panels.facts.size")} value={`${size.width} × ${size.height}`} />}
          <Fact name={t("panels.facts.bytes")} value={bytes(artifact.size)} />
          <Fact name={t("panels.facts.type")} value={artifact.media_type} />
          {made != null && <Fact name={t("panels.facts.created")} value={fullMoment(made)} />}
          <Fact name={t("panels.facts.node")} value={artifact.node} />
          {artifact.jobs > 1 && (
            <Fact
              name={t("panels.facts.jobs")}
              value={t("panels.facts.jobsGave", { count: artifact.jobs })}
            />
          )}
          <Fact name={t("panels.facts.digest")} value={artifact.digest.slice(0, 16)} mono />
        </dl>
      </section>
      <Signature artifact={artifact} />
      {info === undefined && <Spinner label={t("panels.facts.loading")} />}
      {info === null && <p className={styles.none}>{t("panels.facts.gone")}</p>}
      {info && (
        <>
          {making !== undefined && <Run making={making} />}
          <Values info={info} />
        </>
      )}
    </>
  );
}

/** Who signed the file. Closed, it asks nothing: to check a file, the server reads all of it. */
function Signature({ artifact }: { readonly artifact: ArtifactEntry }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className={styles.section} onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary>{t("credentials.title")}</summary>
      {isOpen && (
        <Suspense fallback={<Spinner label={t("credentials.checking")} />}>
          <Credentials artifact={artifact} />
        </Suspense>
      )}
    </details>
  );
}

/** What led to the file; texts, mostly prompts, in full. */
function Parameters({ info, node }: { readonly info: ArtifactInfo; readonly node: string }) {
  const types = useCatalogue((catalogue) => catalogue.types);
  const literals = useMemo(
    () =>
      madeWith(info.workflow, node, (entry) =>
        types === null ? null : typeOf(types, info.workflow, entry),
      ),
    [info, node, types],
  );
  if (literals.length === 0) return null;
  return (
    <section className={styles.section}>
      <h3>{t("panels.facts.parameters")}</h3>
      <dl>
        {literals.map(({ name, value }) => (
          <Fact key={name} name={name} value={value} />
        ))}
      </dl>
    </section>
  );
}

/** The run that made the file, whatever later ones found it there. */
function Run({ making }: { readonly making: ArtifactInfo | null }) {
  if (making === null) {
    return (
      <section className={styles.section}>
        <h3>{t("panels.facts.run")}</h3>
        <p className={styles.none}>{t("panels.facts.makerGone")}</p>
      </section>
    );
  }
  const { job } = making;
  const { outputs } = job;
  return (
    <section className={styles.section}>
      <h3>{t("panels.facts.run")}</h3>
      <dl>
        <Fact name={t("panels.facts.job")} value={job.name ? `${job.name}, ${job.id}` : job.id} />
        {outputs && outputs.seconds > 0 && (
          <Fact name={t("panels.facts.took")} value={duration(outputs.seconds)} />
        )}
        {outputs && (
          <Fact
            name={t("panels.facts.nodes")}
            value={t("panels.facts.nodesOf", {
              ran: outputs.nodes.ran ?? 0,
              cached: outputs.nodes.cached ?? 0,
            })}
          />
        )}
        {job.worker && <Fact name={t("panels.facts.worker")} value={job.worker} />}
      </dl>
    </section>
  );
}

function Values({ info }: { readonly info: ArtifactInfo }) {
  const values = useMemo(() => literalsOf(info.workflow), [info]);
  return (
    <details className={styles.section}>
      <summary>{t("panels.facts.all", { count: values.length })}</summary>
      <dl>
        {values.map(({ place, value }) => (
          <Fact key={place} name={place} value={valueText(value, 400)} />
        ))}
      </dl>
    </details>
  );
}

interface CompareProps {
  readonly left: ArtifactEntry;
  readonly right: ArtifactEntry;
}

export function CompareFacts({ left, right }: CompareProps) {
  const [a, b] = [useArtifactInfo(left), useArtifactInfo(right)];
  const found = useMemo(() => (a && b ? differences(a.workflow, b.workflow) : null), [a, b]);
  if (a === undefined || b === undefined) return <Spinner label={t("panels.facts.loading")} />;
  return (
    <section className={styles.section}>
      <h3>{t("panels.facts.differences")}</h3>
      {found === null && <p className={styles.none}>{t("panels.facts.gone")}</p>}
      {left.digest === right.digest && <p className={styles.none}>{t("panels.facts.sameBytes")}</p>}
      {found?.length === 0 && <p className={styles.none}>{t("panels.facts.sameValues")}</p>}
      {found?.map(({ place, left: before, right: after }) => (
        <div key={place} className={styles.difference}>
          <h4>{place}</h4>
          <p>{before === undefined ? t("panels.facts.notGiven") : valueText(before, 400)}</p>
          <p>{after === undefined ? t("panels.facts.notGiven") : valueText(after, 400)}</p>
        </div>
      ))}
    </section>
  );
}

interface FactProps {
  readonly name: string;
  readonly value: string;
  readonly mono?: boolean;
}

function Fact({ name, value, mono = false }: FactProps) {
  return (
    <div data-long={value.length > 26 || undefined}>
      <dt>{name}</dt>
      <dd className={mono ? styles.mono : undefined}>{value}</dd>
    </div>
  );
}
