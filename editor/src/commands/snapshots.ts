/** Named states of a workflow: taken, come back to, renamed and forgotten. */
import { Camera } from "lucide-react";
import { t } from "@/i18n";
import { activeDocument, type Snapshot, useDocuments } from "@/store/documents";
import { askText, confirm } from "@/store/ui";
import type { Command } from "./registry";

export const commands: readonly Command[] = [
  {
    id: "edit.snapshot",
    label: "panels.snapshots.take",
    group: "edit",
    icon: Camera,
    run: takeSnapshot,
  },
];

export async function takeSnapshot(): Promise<void> {
  const { id, snapshots } = activeDocument();
  const name = await askName(t("panels.snapshots.take"), freeName(snapshots));
  // Another document may be shown by now.
  if (name !== null && activeDocument().id === id) useDocuments.getState().takeSnapshot(name);
}

export function restoreSnapshot({ id, name }: Snapshot): void {
  useDocuments.getState().restoreSnapshot(id, t("panels.snapshots.restored", { name }));
}

export async function renameSnapshot(snapshot: Snapshot): Promise<void> {
  const name = await askName(t("panels.snapshots.rename"), snapshot.name);
  if (name !== null) useDocuments.getState().renameSnapshot(snapshot.id, name);
}

export async function deleteSnapshot({ id, name }: Snapshot): Promise<void> {
  const isSure = await confirm({
    title: t("panels.snapshots.deleteTitle", { name }),
    detail: t("panels.snapshots.deleteDetail"),
    confirm: t("panels.snapshots.delete"),
    danger: true,
  });
  if (isSure) useDocuments.getState().deleteSnapshot(id);
}

function askName(title: string, value: string): Promise<string | null> {
  const check = (text: string) => (text === "" ? t("panels.snapshots.nameless") : null);
  const text = { label: t("panels.snapshots.name"), value, check };
  return askText({ title, confirm: t("panels.snapshots.keep"), text });
}

function freeName(snapshots: readonly Snapshot[]): string {
  const taken = new Set(snapshots.map(({ name }) => name));
  for (let number = snapshots.length + 1; ; number += 1) {
    const name = t("panels.snapshots.usual", { number });
    if (!taken.has(name)) return name;
  }
}
