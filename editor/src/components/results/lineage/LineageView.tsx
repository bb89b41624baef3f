/** What a result was made from, what was made from it, and which results share something with it. */
import { ArrowLeft, Box, Dices, FileInput, Layers, type LucideIcon, Package } from "lucide-react";
import { useMemo, useState } from "react";
import { api } from "@/api/client";
import type { ArtifactEntry, FileLineage, LineageItem } from "@/api/schema";
import { Button, Spinner } from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import styles from "./LineageView.module.css";
import { type LineageRow, lineageGroups, lineageRows, shortName } from "./rows";

interface Props {
  readonly artifact: ArtifactEntry;
  /** Look at another result. */
  readonly onOpen: (artifact: ArtifactEntry) => void;
}

interface Actions {
  readonly onOpen: (artifact: ArtifactEntry) => void;
  /** See the lineage of an input. */
  readonly onFollow: (item: LineageItem) => void;
}

const FRESH = 10_000;
const KEPT = 60_000;

function lineageOf(digest: string) {
  return {
    queryKey: ["lineage", digest],
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<FileLineage> =>
      api.GET("/lineage/{digest}", { params: { path: { digest } }, signal }),
    // Any later job may have used it.
    staleTime: FRESH,
    gcTime: KEPT,
  };
}

export default function LineageView({ artifact, onOpen }: Props) {
  const [followed, setFollowed] = useState<{ of: string; item: LineageItem } | null>(null);
  // An input is left when another file is looked at.
  const input = followed?.of === artifact.digest ? followed.item : null;
  const { data, fault } = useAnswer(lineageOf(input?.key ?? artifact.digest));
  const actions: Actions = {
    onOpen,
    onFollow: (item) => setFollowed({ of: artifact.digest, item }),
  };
  return (
    <div className={styles.view}>
      {input !== null && (
        <div className={styles.input}>
          <Button size="s" icon={ArrowLeft} onClick={() => setFollowed(null)}>
            {t("library.lineage.back", { name: artifact.name })}
          </Button>
          <Row row={{ item: input, depth: 0, isRepeated: false }} />
        </div>
      )}
      {fault !== null && <p className={styles.none}>{t("library.lineage.fault")}</p>}
      {fault === null && data === undefined && <Spinner label={t("library.lineage.loading")} />}
      {data !== undefined && <Steps lineage={data} actions={actions} />}
    </div>
  );
}

function Steps({ lineage, actions }: { readonly lineage: FileLineage; readonly actions: Actions }) {
  const [from, to, groups] = useMemo(
    () => [
      lineageRows(lineage, "made_from"),
      lineageRows(lineage, "used_in"),
      lineageGroups(lineage),
    ],
    [lineage],
  );
  if (from.length + to.length + groups.length === 0) {
    return <p className={styles.none}>{t("library.lineage.none")}</p>;
  }
  return (
    <>
      <Rows title={t("library.lineage.madeFrom")} rows={from} actions={actions} />
      <Rows title={t("library.lineage.usedIn")} rows={to} actions={actions} />
      {groups.map(({ source, results, hasMore }) => (
        <section key={source.key} className={styles.section}>
          <h3>{t(`library.lineage.same.${sharedRole(source)}`, { name: sharedName(source) })}</h3>
          <ul className={styles.pictures}>
            {results.map((item) => (
              <li key={item.key}>
                <Picture item={item} actions={actions} />
              </li>
            ))}
          </ul>
          {hasMore && <p className={styles.none}>{t("library.lineage.more")}</p>}
        </section>
      ))}
      {!lineage.complete && <p className={styles.none}>{t("library.lineage.more")}</p>}
    </>
  );
}

interface RowsProps {
  readonly title: string;
  readonly rows: readonly LineageRow[];
  readonly actions: Actions;
}

function Rows({ title, rows, actions }: RowsProps) {
  if (rows.length === 0) return null;
  return (
    <section className={styles.section}>
      <h3>{title}</h3>
      <ul className={styles.rows}>
        {rows.map((row, at) => (
          // By its place, too: a file may stand at several steps.
          <li
            key={`${at} ${row.item.key}`}
            style={{ paddingInlineStart: `${Math.min(row.depth, 8) * 14}px` }}
          >
            <Row row={row} actions={actions} />
          </li>
        ))}
      </ul>
    </section>
  );
}

const ICONS: Readonly<Record<LineageItem["role"], LucideIcon>> = {
  result: FileInput,
  input: FileInput,
  model: Box,
  adapter: Layers,
  pack: Package,
  seed: Dices,
};

function Row({ row, actions }: { readonly row: LineageRow; readonly actions?: Actions }) {
  const { item, isRepeated } = row;
  const Icon = ICONS[item.role];
  const seen = (
    <>
      {item.thumbnail === null ? (
        <span className={styles.icon}>
          <Icon aria-hidden size={16} />
        </span>
      ) : (
        <img className={styles.icon} src={`${item.thumbnail}?size=128`} alt="" loading="lazy" />
      )}
      <span className={styles.words}>
        <span className={styles.name} title={item.name}>
          {item.role === "seed" ? item.key : shortName(item.name) || item.key.slice(0, 12)}
        </span>
        <span className={styles.kind}>
          {[
            t(`library.lineage.role.${item.role}`),
            item.role === "seed" ? item.name : item.detail,
            isRepeated ? t("library.lineage.repeated") : "",
          ]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </span>
    </>
  );
  const act = actions === undefined ? null : actionOf(item, actions);
  if (act === null) return <div className={styles.row}>{seen}</div>;
  return (
    <button type="button" className={styles.row} onClick={act}>
      {seen}
    </button>
  );
}

function Picture({ item, actions }: { readonly item: LineageItem; readonly actions: Actions }) {
  const act = actionOf(item, actions);
  return (
    <button
      type="button"
      className={styles.picture}
      aria-label={item.name}
      title={item.name}
      disabled={act === null}
      onClick={act ?? undefined}
    >
      {item.thumbnail === null ? (
        <span>{shortName(item.name)}</span>
      ) : (
        <img src={`${item.thumbnail}?size=128`} alt="" loading="lazy" />
      )}
    </button>
  );
}

/** What a click does: results are opened, inputs followed; nothing leads from the others. */
function actionOf(item: LineageItem, { onOpen, onFollow }: Actions): (() => void) | null {
  const { artifact } = item;
  if (artifact !== null) return () => onOpen(artifact);
  return item.role === "input" && item.href !== null ? () => onFollow(item) : null;
}

function sharedRole({ role }: LineageItem): "input" | "model" | "adapter" | "seed" {
  return role === "model" || role === "adapter" || role === "seed" ? role : "input";
}

function sharedName(item: LineageItem): string {
  return item.role === "seed" ? item.key : shortName(item.name);
}
