import { Download } from "lucide-react";
import { api } from "@/api/client";
import type { ArtifactEntry } from "@/api/schema";
import { DownloadRow } from "@/components/panels/models/DownloadRow";
import get from "@/components/panels/models/Get.module.css";
import { License } from "@/components/panels/models/License";
import { Button, Dialog } from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { bytes } from "@/i18n/format";
import { lackingFor, type Task } from "@/model/generate";
import { useCatalogue } from "@/store/catalogue";
import { mayManageModels, useConnection } from "@/store/connection";
import { downloadFor, useDownloads } from "@/store/downloads";
import { faultText } from "@/store/notices";
import { act } from "./actions";
import styles from "./GeneratePage.module.css";

/** A model that does what the server has none for. */
const OFFERS = {
  detector: {
    title: "CLIPSeg",
    request: { source: "CIDAS/clipseg-rd64-refined", kind: null },
  },
  upscaler: {
    title: "Real-ESRGAN x4plus",
    request: {
      source: "Comfy-Org/Real-ESRGAN_repackaged/RealESRGAN_x4plus.safetensors",
      kind: "upscaler",
    },
  },
} as const;

interface Props {
  readonly task: Task;
  readonly lacks: keyof typeof OFFERS;
  /** What the task is wanted for. */
  readonly artifact: ArtifactEntry;
  readonly onClose: () => void;
}

/** What a task lacks, got by a click; then it can be done. */
export default function LackingDialog({ task, lacks, artifact, onClose }: Props) {
  const { title, request } = OFFERS[lacks];
  const { source } = request;
  const key = `task:${lacks}`;
  const name = t(`generate.task.${task}`);
  const allowed = useConnection(mayManageModels);
  const download = useDownloads((state) => downloadFor(state, key, source));
  const refused = useDownloads((state) => state.refused.get(key));
  const isStarting = useDownloads((state) => state.starting.has(key));
  const isReady = useCatalogue(
    ({ types, models }) =>
      types !== null && models !== null && lackingFor(task, { types, models }) === null,
  );
  const { offer, problem } = usePlan(allowed, request);
  const isComing = download !== null && download.state !== "finished";
  const isGettable = allowed && !isReady && !isComing;
  const go = () => {
    onClose();
    void act(task, artifact);
  };
  return (
    <Dialog
      title={name}
      size="s"
      onClose={onClose}
      footer={
        <>
          <Button variant="ghost" onClick={onClose}>
            {t("ui.close")}
          </Button>
          {isReady && (
            <Button variant="primary" onClick={go}>
              {name}
            </Button>
          )}
          {isGettable && (
            <Button
              variant="primary"
              icon={Download}
              busy={isStarting}
              onClick={() => void useDownloads.getState().start(key, request)}
            >
              {t("models.getNamed", { name: title })}
            </Button>
          )}
        </>
      }
    >
      <div className={styles.lacking}>
        {!isReady && <p>{t(`generate.lacks.${lacks}`)}</p>}
        {!allowed && <p>{t("models.unallowedGet")}</p>}
        {allowed && (
          <p className={get.meta}>
            <span>{title}</span>
            {offer?.bytes != null && <span>{bytes(offer.bytes)}</span>}
            {offer !== null && <License license={offer.license} page={offer.page} />}
          </p>
        )}
        {isComing && <DownloadRow download={download} allowed={allowed} bare />}
        {isReady && <p role="status">{t("models.downloaded", { name: title })}</p>}
        {isGettable && (refused ?? problem) !== null && (
          <p className={get.error} role="alert">
            {refused ?? problem}
          </p>
        )}
      </div>
    </Dialog>
  );
}

/** The size and license of a download, and in words why it can't be got. */
function usePlan(allowed: boolean, body: (typeof OFFERS)[keyof typeof OFFERS]["request"]) {
  const { data, fault } = useAnswer({
    queryKey: ["download-plan", body],
    queryFn: ({ signal }) => api.POST("/models/downloads/plan", { body, signal }),
    enabled: allowed,
    // The server asks other sites for it.
    staleTime: Number.POSITIVE_INFINITY,
  });
  return { offer: data ?? null, problem: fault && (faultText(fault) || null) };
}
