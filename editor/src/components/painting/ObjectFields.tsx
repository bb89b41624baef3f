/** How objects are selected: by which model, or without one; and by words where it takes them. */
import { Download } from "lucide-react";
import { type RefObject, useMemo, useState } from "react";
import { Button, Select, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { segmentersOf } from "@/model/painting/objects";
import { useCatalogue } from "@/store/catalogue";
import { mayManageModels, useConnection } from "@/store/connection";
import { useModelOffers } from "@/store/modelOffers";
import { segmenterOf } from "@/store/objectSelection";
import { useUi } from "@/store/ui";
import type { StageHandle } from "./stage/stageProps";
import styles from "./ToolSettings.module.css";

/** A small one that takes points and boxes. */
const OFFERED = "facebook/sam2.1-hiera-tiny";

interface Props {
  /** Of the tool: the name of a model, or how objects are found without one. */
  readonly setting: string;
  readonly onSetting: (segmenter: string) => void;
  readonly stage: RefObject<StageHandle | null>;
  /** The bar has other buttons then. */
  readonly hasSelection: boolean;
}

export function ObjectFields({ setting, onSetting, stage, hasSelection }: Props) {
  const models = useCatalogue((catalogue) => catalogue.models);
  const all = useMemo(() => segmentersOf(models ?? []), [models]);
  const chosen = segmenterOf(setting);
  const options = all.map(({ kind, model }) => ({
    value: model ?? "edges",
    label: model === null ? t("painting.segmenter.edges") : labelOf(model, kind),
  }));
  return (
    <>
      <Select
        className={styles.select}
        label={t("painting.segmenter")}
        value={chosen.model ?? "edges"}
        options={options}
        onChange={onSetting}
      />
      {chosen.kind === "words" ? (
        <Words onSelect={(words) => stage.current?.selectObject(words)} />
      ) : (
        !hasSelection && <span className={styles.hint}>{t("painting.toolHint.object")}</span>
      )}
      {all.length === 1 && <GetModel />}
    </>
  );
}

function labelOf(model: string, kind: "points" | "words" | "edges"): string {
  const name =
    model
      .replace(/\/[^/]*\.(safetensors|pt|pth)$/i, "")
      .split("/")
      .at(-1) ?? model;
  return kind === "words" ? t("painting.segmenter.words", { name }) : name;
}

function GetModel() {
  const allowed = useConnection(mayManageModels);
  return (
    <span className={styles.field}>
      <span className={styles.hint}>{t("painting.noSegmenter")}</span>
      <Button size="s" icon={Download} disabled={!allowed} onClick={getSegmenter}>
        {t("models.get")}
      </Button>
    </span>
  );
}

function getSegmenter(): void {
  const { find, search } = useModelOffers.getState();
  void find({ ...search, text: OFFERED });
  useUi.getState().openDialog("getModels");
}

function Words({ onSelect }: { readonly onSelect: (words: string) => void }) {
  const [words, setWords] = useState("");
  return (
    <TextField
      label={t("painting.objectWords")}
      placeholder={t("painting.objectWords")}
      value={words}
      onChange={setWords}
      onKeyDown={(event) => {
        if (event.key === "Enter") onSelect(words);
      }}
    />
  );
}
