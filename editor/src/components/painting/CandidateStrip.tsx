/** What the model made of the box: flip through it, and take what is good as a layer. */
import { Check, ChevronLeft, ChevronRight, Eye, EyeOff, Layers2, Trash2, X } from "lucide-react";
import { Button, cx, IconButton, Slider } from "@/components/ui";
import { t } from "@/i18n";
import { useDocuments } from "@/store/documents";
import {
  accept,
  type Candidate,
  choose,
  discard,
  discardAll,
  flip,
  keepAll,
  useCandidates,
} from "@/store/painting";
import { told } from "./adding";
import styles from "./CandidateStrip.module.css";
import { useCanvasUi } from "./canvasUi";

const NONE: readonly Candidate[] = [];

export function CandidateStrip() {
  const document = useDocuments((state) => state.active);
  const list = useCandidates(({ lists }) => lists.get(document) ?? NONE);
  const shown = useCandidates((candidates) => candidates.shown(document));
  // It has its room before there are candidates, too: the canvas would jump under who paints on it.
  if (list.length === 0 || shown === null)
    return <p className={styles.empty}>{t("painting.noCandidates")}</p>;
  const place = { index: list.indexOf(shown) + 1, count: list.length };
  return (
    <section className={styles.strip} aria-label={t("painting.candidates")}>
      <IconButton
        icon={ChevronLeft}
        label={t("painting.previous")}
        disabled={list.length < 2}
        onClick={() => flip(document, -1)}
      />
      <ul className={styles.list}>
        {list.map((candidate, index) => (
          <li key={`${candidate.job}/${candidate.digest}`}>
            <button
              type="button"
              className={cx(styles.thumbnail, candidate === shown && styles.shown)}
              aria-pressed={candidate === shown}
              aria-label={t("painting.candidate", { index: index + 1, count: list.length })}
              onClick={() => {
                useCanvasUi.getState().hide(null);
                choose(document, candidate);
              }}
            >
              <img src={candidate.url} alt="" draggable={false} />
            </button>
          </li>
        ))}
      </ul>
      <IconButton
        icon={ChevronRight}
        label={t("painting.next")}
        disabled={list.length < 2}
        onClick={() => flip(document, 1)}
      />
      <span className={styles.count} aria-live="polite">
        {t("painting.candidate", place)}
      </span>
      <Peek shown={shown} />
      <span className={styles.gap} />
      <IconButton icon={X} label={t("painting.discard")} onClick={() => discard(document)} />
      <IconButton
        icon={Trash2}
        label={t("painting.discardAll")}
        onClick={() => discardAll(document)}
      />
      <IconButton
        icon={Layers2}
        label={t("painting.keepAll")}
        onClick={() => void told(() => taken(keepAll(document)))}
      />
      <Button
        variant="primary"
        icon={Check}
        onClick={() => void told(() => taken(accept(document)))}
      >
        {t("painting.accept")}
      </Button>
    </section>
  );
}

/** To see what lies below the candidate: it is faded, or not shown. */
function Peek({ shown }: { readonly shown: Candidate }) {
  const { candidateOpacity, hidden, hide, fade } = useCanvasUi();
  const isHidden = hidden === shown;
  return (
    <>
      <IconButton
        icon={isHidden ? EyeOff : Eye}
        label={t(isHidden ? "painting.showCandidate" : "painting.hideCandidate")}
        onClick={() => hide(isHidden ? null : shown)}
      />
      <Slider
        label={t("painting.candidateOpacity")}
        min={10}
        max={100}
        step={5}
        value={Math.round(candidateOpacity * 100)}
        className={styles.fade}
        onChange={(percent) => fade(percent / 100)}
      />
    </>
  );
}

/** What is painted next is seen: on what lies on all others now. */
async function taken(layer: Promise<string | null>): Promise<void> {
  const node = await layer;
  if (node !== null) useCanvasUi.getState().choose(node);
}
