/** One step of a lesson, beside what it points at. Nothing is blocked meanwhile. */
import { Circle, X } from "lucide-react";
import { type CSSProperties, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { run } from "@/commands/registry";
import { Button, IconButton, tip } from "@/components/ui";
import { shownLanguage, t } from "@/i18n";
import { type LessonStep, textIn } from "@/model/lessons/lesson";
import { placeCard, type Rect } from "@/model/lessons/place";
import { labelOf, type NodeTypes, typeOf } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { useJobs } from "@/store/jobs";
import {
  lastRun,
  leaveLesson,
  nextStep,
  type OpenedLesson,
  previousStep,
  TOUR,
  useLessons,
} from "@/store/lessons";
import styles from "./LessonCard.module.css";
import {
  bringIntoView,
  bringWhenDrawn,
  cardArea,
  followPage,
  partToAvoid,
  rectOf,
  seenPlace,
} from "./targets";

interface Props {
  readonly opened: OpenedLesson;
  readonly step: LessonStep;
  /** Index of the step. */
  readonly at: number;
}

export function LessonCard({ opened, step, at }: Props) {
  const card = useRef<HTMLElement>(null);
  const { ring, corner, isUnseen } = usePlaces(step, card);
  const id = useId();
  useFocusAtStart(card);
  const language = shownLanguage();
  const { length: count } = opened.lesson.steps;
  const isLast = at === count - 1;
  const isRead = step.until.length === 0;
  return (
    <>
      {ring && <div aria-hidden className={styles.ring} style={ring} />}
      <section
        ref={card}
        role="dialog"
        aria-labelledby={`${id}-title`}
        aria-describedby={`${id}-words`}
        tabIndex={-1}
        data-region=""
        className={styles.card}
        style={corner}
        onKeyDown={(event) => {
          const act = actOf(event.key, isLast, event.target === event.currentTarget);
          if (act === null) return;
          event.preventDefault();
          event.stopPropagation();
          act();
        }}
      >
        <div className={styles.head}>
          <span className={styles.count}>{t("lessons.count", { number: at + 1, count })}</span>
          <span className={styles.name}>{textIn(opened.lesson.title, language)}</span>
          <IconButton icon={X} size="s" label={t("lessons.leave")} onClick={leaveLesson} />
        </div>
        <h2 id={`${id}-title`}>{textIn(step.title, language)}</h2>
        <p id={`${id}-words`}>{textIn(step.text, language)}</p>
        {step.showsRun && <RunFacts document={opened.document} />}
        {!isRead && (
          <p className={styles.todo}>
            <Circle aria-hidden size={12} /> {t("lessons.todo")}
          </p>
        )}
        <div className={styles.actions}>
          {isUnseen && step.at && (
            <Button size="s" onClick={() => step.at && bringIntoView(step.at)}>
              {t("lessons.show")}
            </Button>
          )}
          {opened.name === TOUR && !isLast && (
            <Button size="s" variant="ghost" onClick={leaveLesson}>
              {t("lessons.skipTour")}
            </Button>
          )}
          {isLast && (
            <Button size="s" variant="ghost" onClick={endWithList}>
              {t("lessons.more")}
            </Button>
          )}
          {at > 0 && (
            <Button size="s" onClick={previousStep}>
              {t("lessons.back")}
            </Button>
          )}
          <Button
            size="s"
            variant={isRead ? "primary" : "secondary"}
            onClick={nextStep}
            {...(isRead ? {} : tip(t("lessons.nextTip")))}
          >
            {t(isLast ? "lessons.end" : "lessons.next")}
          </Button>
        </div>
      </section>
    </>
  );
}

/** After the last step: which lessons there are. */
function endWithList(): void {
  nextStep();
  run("help.lessons");
}

/** What a key does; Enter belongs to the buttons while one of them has the focus. */
function actOf(key: string, isLast: boolean, isOnCard: boolean): (() => void) | null {
  if (key === "Escape") return leaveLesson;
  if (key === "ArrowLeft") return previousStep;
  if (key === "ArrowRight") return isLast ? null : nextStep;
  return key === "Enter" && isOnCard ? nextStep : null;
}

const MODAL = "[data-modal]";

/** The card takes the focus when it is called for, and where its own button was pressed. */
function useFocusAtStart(card: { readonly current: HTMLElement | null }): void {
  useEffect(() => {
    const { activeElement } = document;
    const isFree = activeElement === null || activeElement === document.body;
    const isStart = useLessons.getState().isCalled;
    useLessons.setState({ isCalled: false });
    if (!isStart && !isFree) return;
    let frame = 0;
    let isClosed = false;
    // A dialog that began the lesson takes the focus back to its button when it closes.
    const take = () => {
      const isOpen = document.querySelector(MODAL) !== null;
      if (!isOpen && isClosed) return card.current?.focus({ preventScroll: true });
      isClosed = !isOpen;
      frame = requestAnimationFrame(take);
    };
    if (isStart) take();
    else card.current?.focus({ preventScroll: true });
    return () => cancelAnimationFrame(frame);
  }, [card]);
}

/** What the last run computed, and what it had in the cache. */
function RunFacts({ document }: { readonly document: string }) {
  const jobs = useJobs();
  const types = useCatalogue((catalogue) => catalogue.types);
  const workflow = useActive((_document, found) => found);
  const facts = lastRun(jobs, document);
  if (facts === null) return null;
  const names = (nodes: readonly string[]) =>
    nodes.map((name) => titleOf(name, workflow, types)).join(", ") || "–";
  return (
    <dl className={styles.run}>
      <dt>{t("lessons.computed")}</dt>
      <dd>{names(facts.computed)}</dd>
      <dt>{t("lessons.cached")}</dt>
      <dd>{names(facts.cached)}</dd>
    </dl>
  );
}

/** A node's title, as its card has it. */
function titleOf(name: string, workflow: Workflow, types: NodeTypes | null): string {
  const entry = workflow.nodes.get(name);
  const spec = entry && types && typeOf(types, workflow, entry);
  return entry?.label || (spec ? labelOf(spec) : name);
}

interface Places {
  readonly ring: CSSProperties | null;
  readonly corner: CSSProperties;
  readonly isUnseen: boolean;
}

/** Pixels around what the ring lies on. */
const AROUND = 3;

/** Where ring and card are, also while the canvas moves or a panel opens. */
function usePlaces(step: LessonStep, card: { readonly current: HTMLElement | null }): Places {
  // Not by its visibility: what is hidden can't have the focus.
  const [places, setPlaces] = useState<Places>({
    ring: null,
    corner: { opacity: 0 },
    isUnseen: false,
  });
  useLayoutEffect(() => {
    const { at } = step;
    let known = "";
    const look = () => {
      if (!card.current) return;
      const own = rectOf(card.current);
      const target = at && seenPlace(at);
      const avoided = at && partToAvoid(at);
      const corner = placeCard(avoided && around(avoided), own, cardArea());
      const now = JSON.stringify([target, corner]);
      if (now === known) return;
      known = now;
      setPlaces({
        ring: target && around(target),
        corner,
        isUnseen: at !== null && target === null,
      });
    };
    look();
    const stop = at ? bringWhenDrawn(at) : () => undefined;
    const leave = followPage(look);
    return () => {
      stop();
      leave();
    };
  }, [step, card]);
  return places;
}

function around({ left, top, width, height }: Rect): Rect {
  return {
    left: left - AROUND,
    top: top - AROUND,
    width: width + 2 * AROUND,
    height: height + 2 * AROUND,
  };
}
