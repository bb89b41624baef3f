/** Opening, closing and going through the open workflows. */
import { X } from "lucide-react";
import { t } from "@/i18n";
import { setMeta } from "@/model/edits";
import { currentWorkflow, documentById, isDirty, useDocuments } from "@/store/documents";
import { useSettings } from "@/store/settings";
import { askText, choose } from "@/store/ui";
import { type Command, run } from "./registry";

/** The document that a command was run on: the one given, else the active one. */
function meant(context: unknown): string {
  return typeof context === "string" ? context : useDocuments.getState().active;
}

function titleOf(id: string): string {
  const document = documentById(id);
  return (
    (document && (currentWorkflow(document).title || document.savedName)) || t("shell.untitled")
  );
}

/** Ask what to do with unsaved work. True when the document may close. */
async function mayClose(id: string): Promise<boolean> {
  const document = documentById(id);
  const asks = useSettings.getState().confirmations.closeUnsaved;
  if (!document || !asks || !isDirty(document)) return true;
  const answer = await choose({
    title: t("shell.closeAsk", { title: titleOf(id) }),
    detail: t("shell.closeDetail"),
    confirm: t("shell.save"),
    others: [{ id: "close", label: t("shell.closeAnyway") }],
  });
  if (answer === "confirm") {
    useDocuments.getState().activate(id);
    run("file.save");
    return false;
  }
  return answer === "close";
}

async function close(id: string): Promise<void> {
  if (await mayClose(id)) useDocuments.getState().close(id);
}

async function closeOthers(id: string): Promise<void> {
  const others = useDocuments.getState().documents.filter((document) => document.id !== id);
  for (const document of others) {
    if (!(await mayClose(document.id))) return;
    useDocuments.getState().close(document.id);
  }
}

async function rename(id: string): Promise<void> {
  const title = await askText({
    title: t("shell.renameTitle"),
    confirm: t("shell.rename"),
    text: { label: t("shell.title"), value: titleOf(id) },
  });
  if (title === null) return;
  useDocuments
    .getState()
    .change("shell.renamed", (workflow) => setMeta(workflow, { title }), { document: id });
}

function step(by: number): void {
  const { documents, active, activate } = useDocuments.getState();
  const at = documents.findIndex((document) => document.id === active);
  const next = documents[(at + by + documents.length) % documents.length];
  if (next) activate(next.id);
}

function move(by: number): void {
  const { documents, active, move: moveTo } = useDocuments.getState();
  const at = documents.findIndex((document) => document.id === active);
  const to = Math.min(documents.length - 1, Math.max(0, at + by));
  moveTo(active, to);
}

function goTo(index: number): void {
  const { documents, activate } = useDocuments.getState();
  const document = index === 9 ? documents.at(-1) : documents[index - 1];
  if (document) activate(document.id);
}

const several = () => useDocuments.getState().documents.length > 1;

export const commands: readonly Command[] = [
  {
    id: "tabs.close",
    label: "shell.close",
    group: "tabs",
    keys: ["alt+w"],
    icon: X,
    inText: true,
    run: (context) => close(meant(context)),
  },
  {
    id: "tabs.closeOthers",
    label: "shell.closeOthers",
    group: "tabs",
    when: several,
    run: (context) => closeOthers(meant(context)),
  },
  {
    id: "tabs.reopen",
    label: "shell.reopen",
    group: "tabs",
    keys: ["alt+shift+w"],
    inText: true,
    when: () => useDocuments.getState().closed.length > 0,
    run: () => {
      useDocuments.getState().reopenClosed();
    },
  },
  {
    id: "tabs.rename",
    label: "shell.renameTab",
    group: "tabs",
    run: (context) => rename(meant(context)),
  },
  {
    id: "tabs.next",
    label: "shell.nextTab",
    group: "tabs",
    keys: ["alt+pagedown"],
    inText: true,
    when: several,
    run: () => step(1),
  },
  {
    id: "tabs.previous",
    label: "shell.previousTab",
    group: "tabs",
    keys: ["alt+pageup"],
    inText: true,
    when: several,
    run: () => step(-1),
  },
  {
    id: "tabs.moveRight",
    label: "shell.moveTabRight",
    group: "tabs",
    keys: ["alt+shift+pagedown"],
    inText: true,
    when: several,
    run: () => move(1),
  },
  {
    id: "tabs.moveLeft",
    label: "shell.moveTabLeft",
    group: "tabs",
    keys: ["alt+shift+pageup"],
    inText: true,
    when: several,
    run: () => move(-1),
  },
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map(
    (index): Command => ({
      id: `tabs.go${index}`,
      label: "shell.goToTabNumber",
      group: "tabs",
      keys: [`alt+${index}`],
      hidden: true,
      inText: true,
      run: () => goTo(index),
    }),
  ),
];
