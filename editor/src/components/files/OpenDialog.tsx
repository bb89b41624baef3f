import { FileJson } from "lucide-react";
import { useState } from "react";
import { LessonList } from "@/components/lessons/LessonList";
import { DraftList } from "@/components/together/DraftList";
import { Button, Dialog, SearchField, Tabs } from "@/components/ui";
import { t } from "@/i18n";
import styles from "./OpenDialog.module.css";
import { openChosen } from "./opening";
import { SavedList } from "./SavedList";
import { TemplateGrid } from "./TemplateGrid";

interface Props {
  readonly onClose: () => void;
  readonly tab?: "saved" | "templates" | "lessons";
}

const SAVED = { List: SavedList, search: "files.searchSaved" };
const LISTS: Readonly<Record<string, typeof SAVED>> = {
  templates: { List: TemplateGrid, search: "files.searchTemplates" },
  lessons: { List: LessonList, search: "lessons.search" },
  drafts: { List: DraftList, search: "together.searchDrafts" },
};

/** Saved workflows and the gallery, to open one; files of one's own by a button. */
export default function OpenDialog({ onClose, tab = "saved" }: Props) {
  const [active, setActive] = useState<string>(tab);
  const [query, setQuery] = useState("");
  const { List, search } = LISTS[active] ?? SAVED;
  const openFile = () => {
    // The picker needs the click, so it is asked for first.
    void openChosen();
    onClose();
  };
  return (
    <Dialog
      title={t("files.openTitle")}
      size="l"
      padded={false}
      onClose={onClose}
      className={styles.dialog}
    >
      <Tabs
        label={t("files.openFrom")}
        tabs={[
          { id: "saved", label: t("files.savedTab") },
          { id: "drafts", label: t("together.unsavedTab") },
          { id: "templates", label: t("files.templatesTab") },
          { id: "lessons", label: t("lessons.tab") },
        ]}
        active={active}
        onChange={setActive}
        className={styles.tabs}
        end={
          <Button size="s" icon={FileJson} onClick={openFile}>
            {t("files.fromFile")}
          </Button>
        }
      >
        <SearchField
          autoFocus
          value={query}
          onChange={setQuery}
          label={t(search)}
          className={styles.search}
        />
        <div className={styles.list}>
          <List query={query} onOpened={onClose} />
        </div>
      </Tabs>
    </Dialog>
  );
}
