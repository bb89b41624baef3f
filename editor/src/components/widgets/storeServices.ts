/** The editor's world as widgets see it. */
import { useEffect } from "react";
import { api } from "@/api/client";
import {
  inputPicture,
  pictureOf,
  thumbnailAddress,
  upload,
  uploadArtifact,
  uploadDigest,
} from "@/api/files";
import type { ArtifactEntry, InputFileEntry, ModelEntry, UploadEntry } from "@/api/schema";
import { isReadable } from "@/components/results/kinds";
import { t } from "@/i18n";
import { bytes } from "@/i18n/format";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { loadInputFiles, lookForInput, useInputFiles } from "@/store/inputFiles";
import { promptSources } from "@/store/promptSources";
import { useUi } from "@/store/ui";
import type {
  FileChoice,
  ModelChoice,
  PictureAddresses,
  ResultChoice,
  WidgetServices,
} from "./services";

const MOST_FILES = 100;
const choices = new WeakMap<readonly ModelEntry[], Map<string, readonly ModelChoice[]>>();

export const storeServices: WidgetServices = {
  useModels: (kind) => {
    const models = useCatalogue((state) => state.models);
    const { needModels } = useCatalogue.getState();
    useEffect(() => {
      // What can't be read now is read when the server is there again.
      if (models === null) needModels().catch(() => undefined);
    }, [models, needModels]);
    return models === null ? null : choicesOf(models, kind);
  },
  useSubgraphs: () => useActive((_, workflow) => [...workflow.subgraphs.keys()]),
  secrets: async () => (await api.GET("/secrets")).secrets,
  recentFiles: async (kind) => {
    const { items } = await api.GET("/uploads", { params: { query: { limit: MOST_FILES } } });
    return items.filter((item) => fits(item, kind)).map(fileOf);
  },
  inputFiles: async (kind) => {
    const items = await loadInputFiles();
    return items.filter((item) => fits(item, kind)).map(inputOf);
  },
  results: async (kind) => {
    if (kind !== "image") return [];
    const query = { kind, distinct: "true", limit: MOST_FILES } as const;
    const { items } = await api.GET("/artifacts", { params: { query } });
    return items.filter(isReadable).map(resultOf);
  },
  completions: promptSources,
  upload: async (file, onProgress) => fileOf(await upload(file, { onProgress })),
  usePicture: (value) => {
    const file = useInputFiles(({ files }) => files.get(value));
    const digest = uploadDigest(value);
    useEffect(() => {
      if (value !== "" && digest === null) lookForInput(value);
    }, [value, digest]);
    if (digest !== null) return addresses((size) => pictureOf(value, size) ?? "");
    return file && isPicture(file) ? addresses((size) => inputPicture(file, size)) : null;
  },
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
    detail: detailOf(model),
    picture: null,
    problem: model.problem,
  };
}

function detailOf(model: ModelEntry): string {
  if (!model.is_looked_at) return t("widgets.model.unseen");
  const what = model.part ?? t(`widgets.model.${model.kind}`);
  const remote = model.is_remote && t("widgets.model.remote");
  return [model.family, what, bytes(model.bytes), remote].filter(Boolean).join(" · ");
}

function fits({ media_type }: { readonly media_type: string }, kind: string): boolean {
  const isShown = kind === "image" || kind === "video";
  return !isShown || media_type.startsWith(`${kind}/`);
}

function isPicture({ media_type }: { readonly media_type: string }): boolean {
  return /^(image|video)\//.test(media_type);
}

function addresses(of: (size?: 256) => string): PictureAddresses {
  return { small: of(256), full: of() };
}

function inputOf(item: InputFileEntry): FileChoice {
  return {
    value: item.path,
    name: item.path,
    detail: bytes(item.size),
    picture: isPicture(item) ? inputPicture(item, 128) : null,
  };
}

function fileOf(item: UploadEntry): FileChoice {
  const size = bytes(item.size);
  return {
    value: item.value,
    name: item.name,
    detail: item.width === null ? size : `${item.width} × ${item.height}`,
    picture: isPicture(item) ? pictureOf(item.value, 128) : null,
  };
}

function resultOf(item: ArtifactEntry): ResultChoice {
  return {
    digest: item.digest,
    name: item.name,
    detail: item.width === null ? bytes(item.size) : `${item.width} × ${item.height}`,
    picture: thumbnailAddress(item, 128),
    take: async () => (await uploadArtifact(item.digest)).value,
  };
}
