import {
  type CSSProperties,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { Button, Kbd } from "@/components/ui";
import { t } from "@/i18n";
import styles from "./Tour.module.css";
import { placeCard, STEPS, type TourStep, targetOf } from "./tourSteps";

interface Props {
  readonly onClose: () => void;
}

/** A few cards beside the parts of the page that they explain. Nothing is blocked meanwhile. */
export default function Tour({ onClose }: Props) {
  const [steps] = useState(() => STEPS.filter((step) => targetOf(step) !== null));
  const [at, setAt] = useState(0);
  const step = steps[at];
  if (!step) return null;
  const isLast = at === steps.length - 1;
  return (
    <Card
      key={step.id}
      step={step}
      number={at + 1}
      count={steps.length}
      onBack={at > 0 ? () => setAt(at - 1) : null}
      onNext={isLast ? onClose : () => setAt(at + 1)}
      onClose={onClose}
      isLast={isLast}
    />
  );
}

interface CardProps {
  readonly step: TourStep;
  readonly number: number;
  readonly count: number;
  readonly isLast: boolean;
  readonly onBack: (() => void) | null;
  readonly onNext: () => void;
  readonly onClose: () => void;
}

function Card(props: CardProps) {
  const { step, number, count, isLast, onBack, onNext, onClose } = props;
  const card = useRef<HTMLElement>(null);
  const { ring, corner } = usePlaces(step, card);
  const id = useId();
  useEffect(() => card.current?.focus({ preventScroll: true }), []);
  return (
    <>
      {ring && <div aria-hidden className={styles.ring} style={ring} />}
      <section
        ref={card}
        role="dialog"
        aria-labelledby={`${id}-title`}
        aria-describedby={`${id}-words`}
        tabIndex={-1}
        className={styles.card}
        style={corner}
        onKeyDown={(event) => {
          const isOnCard = event.target === event.currentTarget;
          const act = actOf(event.key, props, isOnCard);
          if (act === null) return;
          event.preventDefault();
          event.stopPropagation();
          act();
        }}
      >
        <h2 id={`${id}-title`}>{t(`files.tour.${step.id}`)}</h2>
        <p id={`${id}-words`}>
          {t(`files.tour.${step.id}Words`)} {step.keys && <Kbd keys={step.keys} />}
        </p>
        <div className={styles.actions}>
          <span className={styles.count}>{t("files.tourCount", { number, count })}</span>
          {!isLast && (
            <Button size="s" variant="ghost" onClick={onClose}>
              {t("files.tourSkip")}
            </Button>
          )}
          {onBack && (
            <Button size="s" onClick={onBack}>
              {t("files.tourBack")}
            </Button>
          )}
          <Button size="s" variant="primary" onClick={onNext}>
            {t(isLast ? "files.tourEnd" : "files.tourNext")}
          </Button>
        </div>
      </section>
    </>
  );
}

/** What a key does; Enter belongs to the buttons while one of them has the focus. */
function actOf(key: string, props: CardProps, isOnCard: boolean): (() => void) | null {
  if (key === "Escape") return props.onClose;
  if (key === "ArrowLeft") return props.onBack;
  if (key === "ArrowRight") return props.isLast ? null : props.onNext;
  return key === "Enter" && isOnCard ? props.onNext : null;
}

interface Places {
  readonly ring: CSSProperties | null;
  readonly corner: CSSProperties;
}

/** Where ring and card are, also after the window or a panel changed. */
function usePlaces(step: TourStep, card: { readonly current: HTMLElement | null }): Places {
  // Not by its visibility: what is hidden can't have the focus.
  const [places, setPlaces] = useState<Places>({ ring: null, corner: { opacity: 0 } });
  const look = useCallback(() => {
    const target = targetOf(step)?.getBoundingClientRect();
    const own = card.current?.getBoundingClientRect();
    if (!target || !own) return;
    const view = { width: innerWidth, height: innerHeight };
    const { left, top } = placeCard(target, own, view, step.inside === true);
    const ring = { left: target.left, top: target.top, width: target.width, height: target.height };
    setPlaces({ ring, corner: { left, top } });
  }, [step, card]);
  useLayoutEffect(look, [look]);
  useEffect(() => {
    const target = targetOf(step);
    const watch = new ResizeObserver(look);
    if (target) watch.observe(target);
    addEventListener("resize", look);
    return () => {
      watch.disconnect();
      removeEventListener("resize", look);
    };
  }, [look, step]);
  return places;
}
