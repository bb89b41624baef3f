import { CloudOff, Trash2 } from "lucide-react";
import { useEffect, useState } from "react";
import rows from "@/components/files/SavedList.module.css";
import { exactTime, sinceText } from "@/components/files/times";
import { EmptyState, IconButton, Spinner, tip } from "@/components/ui";
import { t } from "@/i18n";
import { readWorkflow } from "@/model/workflow";
import { documentById, useDocuments } from "@/store/documents";
import { type DraftItem, draftText, forgetDraft, listDrafts } from "@/store/drafts";
import { notifyFault } from "@/store/notices";
import { confirm } from "@/store/ui";

interface Props {
  readonly query: string;
  readonly onOpened: () => void;
}

/** Workflows without a name that the server keeps, also those of another browser. */
export function DraftList({ query, onOpened }: Props) {
  const [items, setItems] = useState<readonly DraftItem[] | null>(null);
  useEffect(() => {
    listDrafts().then(setItems, () => setItems([]));
  }, []);
  if (items === null) return <Spinner label={t("files.loading")} />;
  const wanted = query.toLocaleLowerCase();
  const shown = items.filter((item) => titleOf(item).toLocaleLowerCase().includes(wanted));
  if (shown.length === 0) return <EmptyState icon={CloudOff} title={t("together.noDrafts")} />;
  const open = async (item: DraftItem) => {
    if (await opened(item)) onOpened();
  };
  const remove = async (item: DraftItem) => {
    if (!(await isSure(item))) return;
    await forgetDraft(item.document);
    setItems(items.filter((each) => each !== item));
  };
  return (
    <ul className={rows.rows}>
      {shown.map((item) => (
        <li key={item.document} className={rows.item}>
          <div className={rows.row}>
            <button type="button" className={rows.open} onClick={() => void open(item)}>
              <span className={rows.names}>
                <strong>{titleOf(item)}</strong>
              </span>
            </button>
            <span className={rows.time} {...tip(exactTime(item.changed))}>
              {sinceText(item.changed)}
            </span>
            <IconButton
              icon={Trash2}
              size="s"
              danger
              label={t("files.deleteOf", { name: titleOf(item) })}
              onClick={() => void remove(item)}
            />
          </div>
        </li>
      ))}
    </ul>
  );
}

function titleOf({ title }: DraftItem): string {
  return title || t("files.untitled");
}

async function opened({ document, title }: DraftItem): Promise<boolean> {
  const { activate, open } = useDocuments.getState();
  if (documentById(document)) {
    activate(document);
    return true;
  }
  try {
    const text = await draftText(document);
    if (text === null) return false;
    open(readWorkflow(text), { id: document });
    return true;
  } catch (fault) {
    notifyFault(fault, { title: t("files.openFailed", { name: title || t("files.untitled") }) });
    return false;
  }
}

function isSure(item: DraftItem): Promise<boolean> {
  return confirm({
    title: t("files.deleteAsk", { name: titleOf(item) }),
    detail: t("together.deleteDetail"),
    confirm: t("files.delete"),
    danger: true,
  });
}
