/** What can be done with a model of the server, with what went wrong told instead of thrown. */

import { api } from "@/api/client";
import { artifactAddress } from "@/api/files";
import type { ArtifactEntry, ModelEntry, ModelUsesEntry, RecordChange } from "@/api/schema";
import { t } from "@/i18n";
import { moment } from "@/i18n/format";
import { modelTitle } from "@/model/models";
import { useCatalogue } from "@/store/catalogue";
import { useModels } from "@/store/models";
import { notify, notifyFault } from "@/store/notices";
import { askText, confirm } from "@/store/ui";

async function tried(title: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (fault) {
    notifyFault(fault, { title, key: "models" });
    return false;
  }
}

function of(name: string) {
  return { params: { query: { name } } };
}

function sendPicture(name: string, body: Blob): Promise<undefined> {
  return api.PUT("/models/picture", { ...of(name), body });
}

/** The list tells of changes too, but not before its next notice. */
async function reload(): Promise<void> {
  await useCatalogue.getState().loadModels();
}

export function change({ name }: ModelEntry, by: RecordChange): Promise<boolean> {
  return tried(t("models.failed.change"), async () => {
    await api.PATCH("/models/record", { ...of(name), body: by });
    await reload();
  });
}

const MOST_NAMED = 4;

/** Remove a model from the disk, once somebody has seen what uses it. */
export async function askToRemove(model: ModelEntry): Promise<void> {
  let uses: ModelUsesEntry | null = null;
  try {
    uses = await api.GET("/models/uses", of(model.name));
  } catch {
    // A server that can't tell is no reason to keep it; the question says so.
  }
  const detail = [t("models.removeDetail", { name: model.name }), ...usesText(uses)].join(" ");
  const isSure = await confirm({
    title: t("models.removeAsk", { name: modelTitle(model) }),
    detail,
    confirm: t("models.remove"),
    danger: true,
  });
  if (!isSure) return;
  await tried(t("models.failed.remove"), async () => {
    await api.DELETE("/models/record", of(model.name));
    if (useModels.getState().shown === model.name) useModels.getState().show(null);
    await reload();
    notify({
      kind: "success",
      title: t("models.removed", { name: modelTitle(model) }),
      key: "models",
    });
  });
}

function usesText(uses: ModelUsesEntry | null): readonly string[] {
  if (uses === null) return [t("models.usesUnknown")];
  const { saved, jobs, last } = uses;
  if (saved.length === 0 && jobs === 0) return [t("models.usesNone")];
  const names = saved.slice(0, MOST_NAMED).map((name) => `“${name}”`);
  const more = saved.length > MOST_NAMED ? ` +${saved.length - MOST_NAMED}` : "";
  const found: string[] = [];
  if (saved.length > 0)
    found.push(t("models.usesSaved", { count: saved.length, names: names.join(", ") + more }));
  if (jobs > 0) found.push(t("models.usesJobs", { count: jobs }));
  if (last !== null) found.push(t("models.usesLast", { when: moment(last, new Date()) }));
  return found;
}

/** Move it to another folder, or give it another name. */
export async function askToMove(model: ModelEntry): Promise<void> {
  const to = await askText({
    title: t("models.moveAsk", { name: modelTitle(model) }),
    detail: t("models.moveDetail"),
    confirm: t("models.move"),
    text: { label: t("models.newName"), value: model.name },
  });
  if (to === null || to.trim() === "" || to === model.name) return;
  await tried(t("models.failed.move"), async () => {
    const body = { name: model.name, new: to.trim() };
    const { name } = await api.POST("/models/record/move", { body });
    await reload();
    useModels.getState().show(name);
  });
}

export function setPicture({ name }: ModelEntry, picture: Blob): Promise<boolean> {
  return tried(t("models.failed.image"), async () => {
    await sendPicture(name, picture);
    await reload();
  });
}

export function setResultAsPicture(model: ModelEntry, artifact: ArtifactEntry): Promise<boolean> {
  return tried(t("models.failed.image"), async () => {
    const answer = await fetch(artifactAddress(artifact.digest));
    if (!answer.ok) throw new TypeError(`status ${answer.status}`);
    await sendPicture(model.name, await answer.blob());
    await reload();
  });
}

export function removePicture({ name }: ModelEntry): Promise<boolean> {
  return tried(t("models.failed.image"), async () => {
    await api.DELETE("/models/picture", of(name));
    await reload();
  });
}

/** Compare its bytes with the digests that its source stated. */
export function verify(model: ModelEntry): Promise<boolean> {
  return tried(t("models.failed.verify"), async () => {
    const { files } = await api.POST("/models/verify", of(model.name));
    const bad = files.filter(({ problem }) => problem !== null);
    const isStated = files.some(({ expected }) => expected !== null);
    const name = modelTitle(model);
    if (bad.length > 0) {
      const detail = bad.map(({ path, problem }) => `${path}: ${problem}`).join(" · ");
      notify({ kind: "error", title: t("models.verifyBad", { name }), detail, key: "models" });
    } else if (isStated) {
      notify({ kind: "success", title: t("models.verifyGood", { name }), key: "models" });
    } else {
      const detail = t("models.verifyUnstatedDetail");
      notify({ kind: "info", title: t("models.verifyUnstated", { name }), detail, key: "models" });
    }
    await reload();
  });
}

/** Have what Civitai knows of it filled in. */
export function lookUp(model: ModelEntry): Promise<boolean> {
  return tried(t("models.failed.lookUp"), async () => {
    await api.POST("/models/lookup", of(model.name));
    await reload();
    notify({
      kind: "success",
      title: t("models.lookedUp", { name: modelTitle(model) }),
      key: "models",
    });
  });
}

/** Whether there is a newer version; gives its reference and page, or null. */
export async function lookForUpdate(model: ModelEntry): Promise<string | null> {
  let source: string | null = null;
  await tried(t("models.failed.update"), async () => {
    source = (await api.GET("/models/update", of(model.name))).source;
    if (source === null)
      notify({
        kind: "info",
        title: t("models.upToDate", { name: modelTitle(model) }),
        key: "models",
      });
  });
  return source;
}
