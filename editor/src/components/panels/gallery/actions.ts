/** What can be done with the files that jobs gave; faults are told, never thrown. */
import { artifactAddress } from "@/api/client";
import type { ArtifactEntry } from "@/api/schema";
import { t } from "@/i18n";
import { useDocuments } from "@/store/documents";
import { useGallery, workflowOf } from "@/store/gallery";
import { notify, notifyFault } from "@/store/notices";
import { confirm } from "@/store/ui";

/** One that can be told from all others: a job may give the same bytes twice. */
export function keyOf(artifact: ArtifactEntry): string {
  return `${artifact.job}/${artifact.node}/${artifact.name}/${artifact.digest}`;
}

/** Open the workflow that made it, with the values it was run with, in a tab of its own. */
export async function openWorkflow(artifact: ArtifactEntry): Promise<boolean> {
  try {
    useDocuments.getState().open(await workflowOf(artifact), { origin: "picture" });
    return true;
  } catch (fault) {
    notifyFault(fault, { title: t("panels.gallery.fault.workflow") });
    return false;
  }
}

export function download(artifacts: readonly ArtifactEntry[]): void {
  for (const artifact of artifacts) {
    const link = document.createElement("a");
    link.href = artifactAddress(artifact.digest, { download: true });
    link.download = artifact.name;
    document.body.append(link);
    link.click();
    link.remove();
  }
}

/** Delete after asking; gives those that are gone. */
export async function removeAll(
  artifacts: readonly ArtifactEntry[],
): Promise<readonly ArtifactEntry[]> {
  const [first] = artifacts;
  if (first === undefined) return [];
  const isSure = await confirm({
    title: t("panels.gallery.deleteTitle", { count: artifacts.length }),
    detail: detailOf(artifacts, first),
    confirm: t("panels.gallery.deleteConfirm"),
    danger: true,
  });
  if (!isSure) return [];
  const gone: ArtifactEntry[] = [];
  try {
    for (const artifact of artifacts) {
      await useGallery.getState().remove(artifact);
      gone.push(artifact);
    }
  } catch (fault) {
    notifyFault(fault, { title: t("panels.gallery.fault.delete") });
  }
  return gone;
}

function detailOf(artifacts: readonly ArtifactEntry[], first: ArtifactEntry): string {
  const detail = t("panels.gallery.deleteDetail", { count: artifacts.length, name: first.name });
  if (artifacts.length > 1 || first.jobs === 1) return detail;
  return `${t("panels.gallery.deleteOfJobs", { count: first.jobs })} ${detail}`;
}

/** Copy a picture, to be pasted anywhere. */
export async function copyPicture(artifact: ArtifactEntry): Promise<void> {
  try {
    const blob = fetch(artifact.href).then((answer) => answer.blob());
    await navigator.clipboard.write([new ClipboardItem({ [artifact.media_type]: blob })]);
    notify({ kind: "success", title: t("panels.gallery.copied") });
  } catch {
    notify({
      kind: "warning",
      title: t("panels.gallery.fault.copy"),
      detail: t("panels.gallery.fault.copyMend"),
    });
  }
}
