/** What can be done with the files that jobs gave; faults are told, never thrown. */
import { artifactAddress } from "@/api/files";
import type { ArtifactEntry, Board } from "@/api/schema";
import type { MenuEntry } from "@/components/ui";
import { t } from "@/i18n";
import { useDocuments } from "@/store/documents";
import { removeResult, workflowOf } from "@/store/gallery";
import { clearTrash, dropBoard, mark, nameBoard, newBoard, useLibrary } from "@/store/library";
import { notify, notifyFault } from "@/store/notices";
import { askText, confirm } from "@/store/ui";

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

/** Delete for good after asking; gives those that are gone. */
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
      await removeResult(artifact);
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

// The trash

/** Delete for good what is in the trash, after asking. */
export async function emptyTrash(): Promise<void> {
  const isSure = await confirm({
    title: t("library.emptyTitle"),
    detail: t("library.emptyDetail"),
    confirm: t("library.emptyTrash"),
    danger: true,
  });
  if (isSure) await clearTrash();
}

// Boards

const LONGEST_NAME = 100;

/** What is wrong with the name of a board; null for one that can be had. */
function nameFault(name: string, besides: string | null): string | null {
  if (name === "") return t("library.nameNeeded");
  if (name.length > LONGEST_NAME) return t("library.nameTooLong", { most: LONGEST_NAME });
  const { boards } = useLibrary.getState();
  const isTaken = boards.some((board) => board.name === name && board.id !== besides);
  return isTaken ? t("library.nameTaken") : null;
}

function askName(title: string, confirmed: string, board: Board | null) {
  return askText({
    title,
    confirm: confirmed,
    text: {
      label: t("library.boardName"),
      value: board?.name ?? "",
      check: (name) => nameFault(name, board?.id ?? null),
    },
  });
}

/** A board whose name is asked for, with some results on it. */
export async function askNewBoard(artifacts: readonly ArtifactEntry[]): Promise<void> {
  const name = await askName(t("library.newBoard"), t("library.create"), null);
  if (name === null) return;
  const board = await newBoard(name);
  if (board !== null && artifacts.length > 0) await mark(artifacts, { board: board.id });
}

export async function renameBoard(board: Board): Promise<void> {
  const name = await askName(t("library.renameTitle"), t("library.rename"), board);
  if (name !== null && name !== board.name) await nameBoard(board.id, name);
}

export async function deleteBoard(board: Board): Promise<void> {
  const isSure = await confirm({
    title: t("library.deleteBoardTitle", { name: board.name }),
    detail: t("library.deleteBoardDetail"),
    confirm: t("library.deleteBoard"),
    danger: true,
  });
  if (isSure) await dropBoard(board.id);
}

/** The boards that results can be put on, as entries of a menu. */
export function boardItems(artifacts: readonly ArtifactEntry[]): readonly MenuEntry[] {
  const { boards } = useLibrary.getState();
  const [first] = artifacts;
  const isOn = (board: string | null) =>
    first !== undefined && artifacts.every((each) => each.board === board);
  return [
    ...boards.map(({ id, name }) => ({
      label: name,
      checked: isOn(id),
      run: () => void mark(artifacts, { board: id }),
    })),
    {
      label: t("library.noBoard"),
      checked: isOn(null),
      run: () => void mark(artifacts, { board: null }),
    },
    "separator",
    { label: t("library.newBoard"), run: () => void askNewBoard(artifacts) },
  ];
}
