/** The one button of what can be got: get it, follow it, then put it into the graph. */
import { Check, Download, SquarePlus } from "lucide-react";
import { createContext, useContext } from "react";
import type { DownloadRequest, ModelEntry } from "@/api/schema";
import { putModel } from "@/commands/models";
import { useIsSmall } from "@/components/shell/useMedia";
import { Button } from "@/components/ui";
import { t } from "@/i18n";
import { modelIn } from "@/model/models";
import { useCatalogue } from "@/store/catalogue";
import { mayManageModels, useConnection } from "@/store/connection";
import { downloadFor, useDownloads } from "@/store/downloads";
import { useUi } from "@/store/ui";
import { DownloadRow } from "./DownloadRow";
import styles from "./Get.module.css";

type TakerOf = (model: ModelEntry) => (() => void) | null;

/** What uses a model where there is no graph to put it into; null for one that can't be used. */
export const TakerContext = createContext<TakerOf | undefined>(undefined);

interface Props {
  /** What it is asked for by. */
  readonly id: string;
  readonly title: string;
  readonly request: DownloadRequest;
  /** Its name on the server; null if it isn't there. */
  readonly installed: string | null;
  readonly onGet?: () => void;
}

export function GetButton({ id, title, request, installed, onGet }: Props) {
  const allowed = useConnection(mayManageModels);
  const download = useDownloads((state) => downloadFor(state, id, request.source));
  const refused = useDownloads((state) => state.refused.get(id));
  const isStarting = useDownloads((state) => state.starting.has(id));
  const small = useIsSmall();
  const name = installed ?? (download?.state === "finished" ? download.name : null);
  const model = useCatalogue(({ models }) => modelIn(models, name));
  const takerOf = useContext(TakerContext);
  if (model !== null && takerOf !== undefined) {
    const take = takerOf(model);
    if (take === null) return <p className={styles.description}>{t("models.state.finished")}</p>;
    return (
      <Button
        size="s"
        icon={Check}
        className={styles.button}
        aria-label={t("models.useNamed", { name: title })}
        onClick={take}
      >
        {t("models.use")}
      </Button>
    );
  }
  if (model !== null) {
    const put = () => {
      putModel(model);
      if (small) useUi.getState().hidePanel("left");
    };
    return (
      <Button
        size="s"
        icon={SquarePlus}
        className={styles.button}
        aria-label={t("models.putInNamed", { name: title })}
        onClick={put}
      >
        {t("models.putIn")}
      </Button>
    );
  }
  if (download !== null && download.state !== "finished")
    return <DownloadRow download={download} allowed={allowed} bare />;
  if (!allowed) return null;
  return (
    <>
      <Button
        size="s"
        variant="primary"
        icon={Download}
        busy={isStarting}
        className={styles.button}
        aria-label={t("models.getNamed", { name: title })}
        onClick={() => (onGet ? onGet() : void useDownloads.getState().start(id, request))}
      >
        {t("models.getIt")}
      </Button>
      {refused !== undefined && (
        <p className={styles.error} role="alert">
          {refused}
        </p>
      )}
    </>
  );
}
