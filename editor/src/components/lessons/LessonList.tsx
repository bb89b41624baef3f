/** The lessons that the server has, how far somebody is in each, and a button that begins one. */
import { Check, GraduationCap } from "lucide-react";
import { useEffect, useState } from "react";
import type { TemplateItem } from "@/api/schema";
import { matches } from "@/components/files/matches";
import { Badge, Button, EmptyState, Progress, Spinner } from "@/components/ui";
import { shownLanguage, t } from "@/i18n";
import { textIn } from "@/model/lessons/lesson";
import { isUnderWay, type LessonProgress } from "@/model/lessons/progress";
import { useCatalogue } from "@/store/catalogue";
import { TOUR, useLessons } from "@/store/lessons";
import { toldOf } from "@/store/notices";
import styles from "./LessonList.module.css";
import { startLesson } from "./start";

interface Props {
  readonly query: string;
  readonly onOpened: () => void;
}

export function LessonList({ query, onOpened }: Props) {
  const templates = useCatalogue((catalogue) => catalogue.templates);
  const progress = useLessons((lessons) => lessons.progress);
  const [fault, setFault] = useState<unknown>(null);
  useEffect(() => {
    useCatalogue.getState().needTemplates().catch(setFault);
  }, []);
  if (fault !== null) return <EmptyState icon={GraduationCap} title={toldOf(fault)?.title ?? ""} />;
  if (templates === null) return <Spinner label={t("files.loading")} />;
  const language = shownLanguage();
  const found = templates
    .flatMap((template) => (template.lesson ? [{ template, lesson: template.lesson }] : []))
    .filter(({ template, lesson: { title, summary } }) =>
      matches(query, [template.name, textIn(title, language), textIn(summary, language)]),
    )
    .sort((a, b) => a.lesson.order - b.lesson.order);
  if (found.length === 0) return <EmptyState icon={GraduationCap} title={t("lessons.none")} />;
  const start = async (name: string, isAnew: boolean) => {
    if (await startLesson(name, isAnew)) onOpened();
  };
  return (
    <ul className={styles.list}>
      {found.map(({ template, lesson }) => (
        <Row
          key={template.name}
          template={template}
          lesson={lesson}
          progress={progress[template.name]}
          onStart={(isAnew) => void start(template.name, isAnew)}
        />
      ))}
    </ul>
  );
}

interface RowProps {
  readonly template: TemplateItem;
  readonly lesson: NonNullable<TemplateItem["lesson"]>;
  readonly progress: LessonProgress | undefined;
  readonly onStart: (isAnew: boolean) => void;
}

function Row({ template, lesson, progress, onStart }: RowProps) {
  const language = shownLanguage();
  const title = textIn(lesson.title, language);
  const goesOn = isUnderWay(progress);
  const isFinished = progress?.isFinished === true;
  const begin = t(goesOn ? "lessons.continue" : isFinished ? "lessons.again" : "lessons.start");
  return (
    <li className={styles.row}>
      <img src={`${template.href}/picture`} alt="" loading="lazy" className={styles.picture} />
      <div className={styles.text}>
        <strong>
          {title} {template.name === TOUR && <Badge>{t("lessons.tourBadge")}</Badge>}
        </strong>
        <span className={styles.words}>{textIn(lesson.summary, language)}</span>
        <span className={styles.state}>
          {isFinished ? (
            <>
              <Check aria-hidden size={13} /> {t("lessons.finished")}
            </>
          ) : goesOn ? (
            <>
              <Progress
                value={(progress?.step ?? 0) / lesson.steps}
                label={t("lessons.progressOf", { title })}
              />
              {t("lessons.at", { number: (progress?.step ?? 0) + 1, count: lesson.steps })}
            </>
          ) : (
            t("lessons.steps", { count: lesson.steps })
          )}
        </span>
      </div>
      <div className={styles.actions}>
        {goesOn && (
          <Button size="s" variant="ghost" onClick={() => onStart(true)}>
            {t("lessons.again")}
          </Button>
        )}
        <Button
          size="s"
          variant={isFinished ? "secondary" : "primary"}
          aria-label={`${begin}: ${title}`}
          onClick={() => onStart(isFinished)}
        >
          {begin}
        </Button>
      </div>
    </li>
  );
}
