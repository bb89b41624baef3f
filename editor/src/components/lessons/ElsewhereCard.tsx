/** What a lesson shows while somebody looks at something else, or has closed its workflow. */
import { X } from "lucide-react";
import { Button, IconButton } from "@/components/ui";
import { shownLanguage, t } from "@/i18n";
import { textIn } from "@/model/lessons/lesson";
import { useDocuments } from "@/store/documents";
import type { OpenedLesson } from "@/store/lessons";
import { useUi } from "@/store/ui";
import styles from "./LessonCard.module.css";
import { startLesson } from "./start";

interface Props {
  readonly opened: OpenedLesson;
  readonly onLeave: () => void;
}

export function ElsewhereCard({ opened, onLeave }: Props) {
  const isOpen = useDocuments(({ documents }) =>
    documents.some(({ id }) => id === opened.document),
  );
  const isShipped = !opened.name.startsWith("own:");
  const goThere = () => {
    if (!isOpen) return void startLesson(opened.name);
    useDocuments.getState().activate(opened.document);
    useUi.getState().setView("graph");
  };
  return (
    <section
      aria-label={textIn(opened.lesson.title, shownLanguage())}
      data-region=""
      className={`${styles.card} ${styles.elsewhere}`}
    >
      <header className={styles.head}>
        <span className={styles.name}>{textIn(opened.lesson.title, shownLanguage())}</span>
        <IconButton icon={X} size="s" label={t("lessons.leave")} onClick={onLeave} />
      </header>
      <p>{t(isOpen ? "lessons.elsewhere" : "lessons.closed")}</p>
      {(isOpen || isShipped) && (
        <div className={styles.actions}>
          <Button size="s" variant="primary" onClick={goThere}>
            {t(isOpen ? "lessons.goThere" : "lessons.reopen")}
          </Button>
        </div>
      )}
    </section>
  );
}
