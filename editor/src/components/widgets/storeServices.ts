/** The editor's world as widgets see it. */
import { useEffect } from "react";
import { listUploads, pictureOf, upload } from "@/api/client";
import type { ModelEntry, UploadEntry } from "@/api/schema";
import { t } from "@/i18n";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { useUi } from "@/store/ui";
import type { FileChoice, ModelChoice, WidgetServices } from "./services";

const MOST_FILES = 100;
const choices = new WeakMap<readonly ModelEntry[], Map<string, readonly ModelChoice[]>>();

export const storeServices: WidgetServices = {
  useModels: (kind) => {
    const models = useCatalogue((state) => state.models);
    const { loadModels } = useCatalogue.getState();
    useEffect(() => {
      // What can't be read now is read when the server is there again.
      if (models === null) loadModels().catch(() => undefined);
    }, [models, loadModels]);
    return models === null ? null : choicesOf(models, kind);
  },
  useSubgraphs: () => useActive((_, workflow) => [...workflow.subgraphs.keys()]),
  recentFiles: async (kind) => {
    const { items } = await listUploads({ limit: MOST_FILES });
    const isShown = kind === "image" || kind === "video";
    const wanted = (item: UploadEntry) => !isShown || item.media_type.startsWith(`${kind}/`);
    return items.filter(wanted).map(fileOf);
  },
  upload: async (file, onProgress) => fileOf(await upload(file, { onProgress })),
  pictureOf: (value, size) => pictureOf(value, size === "small" ? 256 : undefined),
  paintMask: ({ address, name }, done) =>
    useUi.getState().openDialog("mask", {
      source: address,
      name,
      save: async (file: File) => done((await upload(file)).value),
    }),
};

/** Those of a kind: a LoRA is no choice where a model is wanted. The same for the same models. */
function choicesOf(models: readonly ModelEntry[], kind: string): readonly ModelChoice[] {
  const known = choices.get(models) ?? new Map<string, readonly ModelChoice[]>();
  choices.set(models, known);
  const found = known.get(kind) ?? models.filter(({ use }) => use === kind).map(choiceOf);
  known.set(kind, found);
  return found;
}

function choiceOf(model: ModelEntry): ModelChoice {
  return {
    value: model.name,
    name: model.name,
    detail: [model.family, model.part ?? t(`widgets.model.${model.kind}`), sizeText(model.bytes)]
      .filter(Boolean)
      .join(" · "),
    picture: null,
    problem: model.problem,
  };
}

function fileOf(item: UploadEntry): FileChoice {
  const size = sizeText(item.size);
  return {
    value: item.value,
    name: item.name,
    detail: item.width === null ? size : `${item.width} × ${item.height}`,
    picture: /^(image|video)\//.test(item.media_type) ? pictureOf(item.value, 128) : null,
  };
}

function sizeText(bytes: number): string {
  const [unit, size] =
    bytes >= 1e9 ? ["GB", 1e9] : bytes >= 1e6 ? ["MB", 1e6] : (["kB", 1e3] as const);
  const amount = bytes / Number(size);
  return `${amount >= 100 ? Math.round(amount) : Number(amount.toPrecision(2))} ${unit}`;
}
