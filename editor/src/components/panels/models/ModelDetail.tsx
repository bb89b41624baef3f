/** All that is known of a model, and what can be done with it. */
import { ArrowLeft, CircleAlert, ImagePlus, Images, SquarePlus, Trash2 } from "lucide-react";
import { api } from "@/api/client";
import type { ArtifactEntry, ModelEntry, ModelRecordEntry } from "@/api/schema";
import { putModel } from "@/commands/models";
import { chooseFile } from "@/components/generate/chooseFile";
import { draggedResult } from "@/components/results/dragging";
import { useIsSmall } from "@/components/shell/useMedia";
import { Button, IconButton } from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { modelTitle } from "@/model/models";
import { mayManageModels, useConnection } from "@/store/connection";
import { activeDocument } from "@/store/documents";
import { useModels } from "@/store/models";
import { useUi } from "@/store/ui";
import { useResults } from "../ResultPanel";
import { removePicture, setPicture, setResultAsPicture } from "./actions";
import styles from "./Detail.module.css";
import { Maintenance } from "./Maintenance";
import { Facts, Hashes } from "./ModelFacts";
import { ModelImage } from "./ModelImage";
import { ModelStars, Notes, Tags, TriggerWords } from "./ModelNotes";

interface Props {
  readonly model: ModelEntry;
  readonly models: readonly ModelEntry[];
}

export function ModelDetail({ model, models }: Props) {
  const allowed = useConnection(mayManageModels);
  // What is built in has no folder that its notes could be in.
  const editable = allowed && model.kind !== "embedded";
  const small = useIsSmall();
  const record = useRecord(model);
  const { show } = useModels.getState();
  const title = modelTitle(model);
  const put = () => {
    putModel(model);
    if (small) useUi.getState().hidePanel("left");
  };
  return (
    <article className={styles.detail} aria-label={title}>
      <header className={styles.head}>
        <IconButton icon={ArrowLeft} label={t("models.back")} onClick={() => show(null)} />
        <h3 className={styles.title}>{title}</h3>
      </header>
      <div className={styles.scroll}>
        <Picture model={model} allowed={editable} />
        {model.problem !== null && (
          <p className={styles.problem} role="note">
            <CircleAlert aria-hidden size={14} /> {model.problem}
          </p>
        )}
        <Button
          variant="primary"
          icon={SquarePlus}
          disabled={model.problem !== null || model.node === null}
          onClick={put}
        >
          {t("models.putIn")}
        </Button>
        <ModelStars model={model} allowed={editable} />
        <TriggerWords model={model} allowed={editable} />
        <Tags model={model} models={models} allowed={editable} />
        <Notes model={model} allowed={editable} />
        <Facts model={model} record={record} />
        <Hashes model={model} models={models} />
        {allowed ? (
          <Maintenance model={model} />
        ) : (
          <p className={styles.faint}>{t("models.unallowed")}</p>
        )}
      </div>
    </article>
  );
}

/** What only the model's own record says, such as its page; null until it is read, or if it can't be. */
function useRecord({ name }: ModelEntry): ModelRecordEntry | null {
  const { data } = useAnswer({
    queryKey: ["models", "record", name],
    queryFn: ({ signal }) => api.GET("/models/record", { params: { query: { name } }, signal }),
  });
  return data ?? null;
}

interface PictureProps {
  readonly model: ModelEntry;
  readonly allowed: boolean;
}

/** The model's image: taken from a file, from a result, or from one that is dropped on it. */
function Picture({ model, allowed }: PictureProps) {
  const result = useChosenResult();
  const choose = async () => {
    const file = await chooseFile("image/png,image/jpeg,image/webp");
    if (file !== null) await setPicture(model, file);
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the buttons below do the same */}
      <div
        className={styles.picture}
        onDragOver={(event) => allowed && draggedResult(event) && event.preventDefault()}
        onDrop={(event) => {
          const dropped = draggedResult(event);
          if (!allowed || dropped === null) return;
          event.preventDefault();
          void setResultAsPicture(model, dropped);
        }}
      >
        <ModelImage model={model} size={512} />
      </div>
      {allowed && (
        <div className={styles.tools}>
          <Button size="s" icon={ImagePlus} onClick={() => void choose()}>
            {t("models.setImage")}
          </Button>
          <Button
            size="s"
            icon={Images}
            disabled={result === null}
            onClick={() => result && void setResultAsPicture(model, result)}
          >
            {t("models.useResult")}
          </Button>
          {model.thumbnail !== null && (
            <IconButton
              size="s"
              icon={Trash2}
              label={t("models.removeImage")}
              onClick={() => void removePicture(model)}
            />
          )}
        </div>
      )}
    </>
  );
}

const PICTURES = /^image\/(png|jpeg|webp)$/;

/** The newest image of the selected node, or else of the graph. */
function useChosenResult(): ArtifactEntry | null {
  const images = useResults()
    .map(({ artifact }) => artifact)
    .filter(({ media_type }) => PICTURES.test(media_type));
  const { selection } = activeDocument();
  return images.findLast(({ node }) => selection.has(node)) ?? images.at(-1) ?? null;
}
