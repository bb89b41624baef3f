import { Suspense, useEffect } from "react";
import { run } from "@/commands";
import { FileHost } from "@/components/files/FileHost";
import { MendMenu } from "@/components/panels/problems/MendMenu";
import { ResultMenu } from "@/components/results/ResultMenu";
import { TooltipLayer } from "@/components/ui";
import { useFingerTaps } from "@/hooks/useFingerTaps";
import { useLongPress } from "@/hooks/useLongPress";
import { isDirty, useDocuments } from "@/store/documents";
import { useLessonOpen } from "@/store/lessonOpen";
import { useSettings } from "@/store/settings";
import { strokesDrawn } from "@/store/strokes";
import { useUi } from "@/store/ui";
import { DialogHost } from "./DialogHost";
import { ErrorBoundary } from "./ErrorBoundary";
import { NoticeHost } from "./NoticeHost";
import { QuestionHost } from "./QuestionDialog";
import { LessonHost } from "./registry";
import styles from "./Shell.module.css";
import { Spoken } from "./Spoken";
import { StatusBar } from "./StatusBar";
import { TopBar } from "./TopBar";
import { useShortcuts } from "./useShortcuts";
import { Workspace } from "./Workspace";

/** The page: bars, panels, canvas, and what may lie over them. */
export function Shell() {
  useShortcuts();
  useLongPress();
  useFingerTaps(tapped);
  useLeaveWarning();
  const isGenerate = useUi(({ view }) => view === "generate");
  return (
    <div className={styles.shell}>
      <TopBar />
      <Workspace />
      {!isGenerate && <StatusBar />}
      <ErrorBoundary area="files" frame={() => null}>
        <FileHost />
      </ErrorBoundary>
      <DialogHost />
      <Lesson />
      <ResultMenu />
      <MendMenu />
      <QuestionHost />
      <NoticeHost />
      <Spoken />
      <TooltipLayer />
    </div>
  );
}

function tapped(fingers: 2 | 3): void {
  run(fingers === 2 ? "edit.undo" : "edit.redo");
}

/** Fetched with the first lesson, and with a page that was loaded in the middle of one. */
function Lesson() {
  const isOpen = useLessonOpen((lesson) => lesson.isOpen);
  if (!isOpen) return null;
  return (
    <ErrorBoundary area="lesson" frame={() => null}>
      <Suspense fallback={null}>
        <LessonHost />
      </Suspense>
    </ErrorBoundary>
  );
}

/** Closing the page would lose edits that aren't kept in the browser, and strokes still written. */
function useLeaveWarning(): void {
  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      if (strokesDrawn() !== null) event.preventDefault();
      if (useSettings.getState().autosave) return;
      if (useDocuments.getState().documents.some(isDirty)) event.preventDefault();
    };
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, []);
}
