import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { FileWarning, FolderOpen, History, Trash2 } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import type { SavedItem } from "@/api/schema";
import { run } from "@/commands/registry";
import { Button, EmptyState, IconButton, Spinner, tip } from "@/components/ui";
import { useDebounced } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { forgetSnapshots } from "@/store/autosave";
import { notify, notifyFault, toldOf } from "@/store/notices";
import { queries } from "@/store/queries";
import { confirm, useUi } from "@/store/ui";
import { openSaved } from "./opening";
import styles from "./SavedList.module.css";
import { exactTime, sinceText } from "./times";
import { VersionRows } from "./VersionRows";

interface Props {
  readonly query: string;
  readonly onOpened: () => void;
}

/** The workflows that are saved on the server, the last changed first. */
export function SavedList({ query, onOpened }: Props) {
  const saved = useSaved(query);
  const [shown, setShown] = useState<string | null>(null);
  const reload = () => void saved.refetch();
  if (saved.error !== null && (saved.data === undefined || saved.isFetchNextPageError)) {
    return (
      <EmptyState icon={FileWarning} title={toldOf(saved.error)?.title ?? ""}>
        <Button onClick={reload}>{t("files.again")}</Button>
      </EmptyState>
    );
  }
  if (saved.data === undefined) return <Spinner label={t("files.loading")} />;
  const items = newestFirst(saved.data.pages.flatMap((page) => page.items));
  if (items.length === 0) return <Nothing isSearch={query !== ""} />;
  const open = async (name: string, version?: number) => {
    if ((await openSaved(name, version)) !== null) onOpened();
  };
  const remove = async (item: SavedItem) => {
    if (await removed(item)) reload();
  };
  return (
    <>
      <ul className={styles.rows}>
        {items.map((item) => (
          <li key={item.name} className={styles.item}>
            <Row
              item={item}
              isOpen={shown === item.name}
              onOpen={() => void open(item.name)}
              onVersions={() => setShown(shown === item.name ? null : item.name)}
              onRemove={() => void remove(item)}
            />
            {shown === item.name && (
              <VersionRows name={item.name} onOpen={(version) => void open(item.name, version)} />
            )}
          </li>
        ))}
      </ul>
      {saved.hasNextPage && (
        <div className={styles.more}>
          <Button onClick={() => void saved.fetchNextPage()}>{t("files.more")}</Button>
        </div>
      )}
    </>
  );
}

const PAGE = 100;
/** Between the last key and the question. */
const WAIT = 180;

function useSaved(query: string) {
  const text = useDebounced(query, query === "" ? 0 : WAIT);
  return useInfiniteQuery(
    {
      queryKey: ["workflows", "pages", text],
      queryFn: ({ pageParam: cursor, signal }) =>
        api.GET("/workflows", { params: { query: { text, limit: PAGE, cursor } }, signal }),
      initialPageParam: null as string | null,
      getNextPageParam: ({ next }) => next,
      placeholderData: keepPreviousData,
    },
    queries,
  );
}

function newestFirst(items: readonly SavedItem[]): readonly SavedItem[] {
  return [...items].sort((a, b) => b.saved - a.saved);
}

async function removed(item: SavedItem): Promise<boolean> {
  const sure = await confirm({
    title: t("files.deleteAsk", { name: item.name }),
    detail: t("files.deleteDetail"),
    confirm: t("files.delete"),
    danger: true,
  });
  if (!sure) return false;
  try {
    await api.DELETE("/workflows/{name}", {
      params: { path: { name: item.name }, header: { "if-match": `"${item.digest}"` } },
    });
    await forgetSnapshots(item.name);
    const { name } = item;
    notify({ kind: "success", title: t("files.deleted", { name }), key: `deleted ${name}` });
  } catch (fault) {
    notifyFault(fault, { title: t("files.deleteFailed", { name: item.name }) });
  }
  return true;
}

function Nothing({ isSearch }: { readonly isSearch: boolean }) {
  if (isSearch) return <EmptyState icon={FolderOpen} title={t("files.noneFound")} />;
  return (
    <EmptyState icon={FolderOpen} title={t("files.noneSaved")}>
      <Button onClick={() => useUi.getState().openDialog("open", { tab: "templates" })}>
        {t("files.templatesTab")}
      </Button>
      <Button variant="ghost" onClick={() => run("file.saveAs")}>
        {t("files.saveAs")}
      </Button>
    </EmptyState>
  );
}

interface RowProps {
  readonly item: SavedItem;
  readonly isOpen: boolean;
  readonly onOpen: () => void;
  readonly onVersions: () => void;
  readonly onRemove: () => void;
}

function Row({ item, isOpen, onOpen, onVersions, onRemove }: RowProps) {
  const { name, title, description, nodes, saved, problem } = item;
  return (
    <div className={styles.row}>
      <button type="button" className={styles.open} onClick={onOpen}>
        <span className={styles.names}>
          <strong>{name}</strong>
          {title !== "" && title !== name && <span className={styles.title}>{title}</span>}
        </span>
        {problem === null ? (
          <span className={styles.words}>{description || t("files.nodes", { count: nodes })}</span>
        ) : (
          <span className={styles.problem}>{problem}</span>
        )}
      </button>
      <span className={styles.time} {...tip(exactTime(saved))}>
        {sinceText(saved)}
      </span>
      <IconButton
        icon={History}
        size="s"
        label={t("files.versionsOf", { name })}
        aria-expanded={isOpen}
        onClick={onVersions}
      />
      <IconButton
        icon={Trash2}
        size="s"
        danger
        label={t("files.deleteOf", { name })}
        onClick={onRemove}
      />
    </div>
  );
}
