/** What is done with a model's files: checked, looked up, updated, moved, removed. */
import { FileCheck, FolderInput, RefreshCw, Search, Trash2 } from "lucide-react";
import { useState } from "react";
import type { ModelEntry } from "@/api/schema";
import { Button } from "@/components/ui";
import { t } from "@/i18n";
import { useModelOffers } from "@/store/modelOffers";
import { useModels } from "@/store/models";
import { askToMove, askToRemove, lookForUpdate, lookUp, verify } from "./actions";
import styles from "./Detail.module.css";

type Work = "verify" | "lookUp" | "update";

export function Maintenance({ model }: { readonly model: ModelEntry }) {
  const [busy, setBusy] = useState<Work | null>(null);
  const during = (work: Work, act: () => Promise<unknown>) => async () => {
    setBusy(work);
    await act();
    setBusy(null);
  };
  const update = async () => {
    const source = await lookForUpdate(model);
    if (source === null) return;
    useModels.getState().showTab("get");
    await useModelOffers.getState().look({ source });
  };
  const isOwn = model.kind !== "embedded";
  if (!isOwn) return <p className={styles.faint}>{t("models.embedded")}</p>;
  return (
    <section className={styles.section} aria-label={t("models.maintenance")}>
      <h4>{t("models.maintenance")}</h4>
      <div className={styles.tools}>
        <Button
          size="s"
          icon={FileCheck}
          busy={busy === "verify"}
          onClick={during("verify", () => verify(model))}
        >
          {t("models.verify")}
        </Button>
        <Button
          size="s"
          icon={Search}
          busy={busy === "lookUp"}
          onClick={during("lookUp", () => lookUp(model))}
        >
          {t("models.lookUp")}
        </Button>
        <Button
          size="s"
          icon={RefreshCw}
          busy={busy === "update"}
          onClick={during("update", update)}
        >
          {t("models.update")}
        </Button>
        <Button size="s" icon={FolderInput} onClick={() => void askToMove(model)}>
          {t("models.moveOrRename")}
        </Button>
        <Button size="s" icon={Trash2} variant="danger" onClick={() => void askToRemove(model)}>
          {t("models.removeEllipsis")}
        </Button>
      </div>
    </section>
  );
}
