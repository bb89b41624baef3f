/** Workflows: the open ones, those of the gallery, and those that are saved on the server. */
import { AppWindow, FileClock, LayoutTemplate } from "lucide-react";
import type { SavedItem, TemplateItem } from "@/api/schema";
import { openSaved, openTemplate } from "@/components/files/opening";
import { sinceText } from "@/components/files/times";
import { t } from "@/i18n";
import { currentWorkflow, type Document, useDocuments } from "@/store/documents";
import type { Hit } from "./hits";
import { rank } from "./rank";

interface Entry {
  readonly id: string;
  readonly label: string;
  /** Further words that it is found by. */
  readonly group: string;
  readonly note: string;
  readonly icon: Hit["icon"];
  readonly open: () => void;
}

export function workflowHits(
  query: string,
  {
    templates,
    saved,
  }: {
    readonly templates: readonly TemplateItem[];
    readonly saved: readonly SavedItem[];
  },
): readonly Hit[] {
  const { documents, active } = useDocuments.getState();
  const open = documents.filter(({ id }) => id !== active).map(entryOfTab);
  // The gallery and the whole of what is saved are lists of their own, until something is typed.
  const stored = query.trim() === "" ? [] : [...saved.map(entryOfSaved), ...templates.map(entryOf)];
  return rank([...open, ...stored], query).map(({ entry, matches, score }) => ({
    kind: "workflows",
    id: entry.id,
    label: entry.label,
    note: entry.note,
    icon: entry.icon,
    open: entry.open,
    matches,
    score,
  }));
}

function entryOfTab(document: Document): Entry {
  const { title } = currentWorkflow(document);
  return {
    id: `tab:${document.id}`,
    label: title || document.savedName || t("shell.untitled"),
    group: t("search.openTab"),
    note: t("search.openTab"),
    icon: AppWindow,
    open: () => useDocuments.getState().activate(document.id),
  };
}

function entryOfSaved({ name, title, description, parameters, saved }: SavedItem): Entry {
  return {
    id: `saved:${name}`,
    label: title || name,
    group: [name, description, ...parameters].join(" "),
    note: t("search.saved", { name, when: sinceText(saved) }),
    icon: FileClock,
    open: () => void openSaved(name),
  };
}

function entryOf({ name, title, description, parameters }: TemplateItem): Entry {
  return {
    id: `template:${name}`,
    label: title,
    group: [name, description, ...parameters].join(" "),
    note: description,
    icon: LayoutTemplate,
    open: () => void openTemplate(name),
  };
}
