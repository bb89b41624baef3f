/** The lesson that is shown: notices what was done, and puts its card beside what it points at. */
import { useEffect, useRef } from "react";
import { shownLanguage, t } from "@/i18n";
import { textIn } from "@/model/lessons/lesson";
import { useDocuments } from "@/store/documents";
import { useJobs } from "@/store/jobs";
import {
  isStepReached,
  leaveLesson,
  nextStep,
  progressOf,
  reviveLesson,
  shownStep,
  useLessons,
} from "@/store/lessons";
import { useUi } from "@/store/ui";
import { ElsewhereCard } from "./ElsewhereCard";
import { LessonCard } from "./LessonCard";
import styles from "./LessonCard.module.css";

export default function LessonHost() {
  const opened = useLessons((lessons) => lessons.opened);
  useEffect(() => {
    if (useLessons.getState().opened === null) void reviveLesson();
  }, []);
  useEffect(followWork, []);
  const step = useLessons(shownStep);
  const at = useLessons((lessons) => (opened ? progressOf(lessons, opened.name).step : 0));
  const isHere = useDocuments(({ active }) => active === opened?.document);
  const isGraph = useUi(({ view }) => view === "graph");
  if (opened === null || step === null) return null;
  return (
    <>
      <Announcement
        title={textIn(step.title, shownLanguage())}
        text={textIn(step.text, shownLanguage())}
      />
      {isHere && isGraph ? (
        <LessonCard
          key={`${opened.document}/${opened.name}/${at}`}
          opened={opened}
          step={step}
          at={at}
        />
      ) : (
        <ElsewhereCard opened={opened} onLeave={leaveLesson} />
      )}
    </>
  );
}

/** Says a step that comes while the focus is where somebody works; the card itself says the first. */
function Announcement({ title, text }: { readonly title: string; readonly text: string }) {
  const first = useRef(`${title}. ${text}`);
  const said = `${title}. ${text}`;
  return (
    <div role="status" aria-label={t("lessons.command")} className={styles.hidden}>
      {said === first.current ? "" : said}
    </div>
  );
}

/** Milliseconds without an edit after which a value counts as written. */
const PAUSE = 1500;

/** Go on once the step that is shown is done. */
function followWork(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const check = () => {
    clearTimeout(timer);
    if (!isStepReached()) return;
    const { opened } = useLessons.getState();
    const isOfRun = shownStep(useLessons.getState())?.until.some(
      ({ kind }) => kind === "run" || kind === "download",
    );
    // Whoever still types is not interrupted.
    if (isOfRun || opened === null) nextStep();
    else timer = setTimeout(() => isStepReached() && nextStep(), PAUSE);
  };
  const noteDownload = ({ target }: Event) => {
    if (!(target instanceof Element) || !target.closest("a[download]")) return;
    useLessons.setState(({ downloads }) => ({ downloads: downloads + 1 }));
  };
  const left = [
    useDocuments.subscribe(check),
    useJobs.subscribe(check),
    useLessons.subscribe(check),
  ];
  addEventListener("click", noteDownload, true);
  check();
  return () => {
    clearTimeout(timer);
    for (const leave of left) leave();
    removeEventListener("click", noteDownload, true);
  };
}
