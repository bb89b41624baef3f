/** A model as a card: its image, what it is, and the button that tells all of it. */
import { CircleAlert, Info, Star } from "lucide-react";
import { type DragEvent, type MouseEvent, memo } from "react";
import type { ModelEntry } from "@/api/schema";
import { Badge, IconButton, tip } from "@/components/ui";
import { t } from "@/i18n";
import { bytes } from "@/i18n/format";
import { familyName, modelKind, modelTitle } from "@/model/models";
import { GridCell } from "../lib/grid";
import { beginModelDrag, endModelDrag } from "./dragging";
import styles from "./ModelCard.module.css";
import { ModelImage } from "./ModelImage";

interface Props {
  readonly model: ModelEntry;
  readonly index: number;
  readonly isActive: boolean;
  readonly onFocus: (index: number) => void;
  readonly onPut: (model: ModelEntry) => void;
  readonly onShow: (model: ModelEntry) => void;
  readonly onMenu: (event: MouseEvent, index: number) => void;
}

export const ModelCard = memo(function ModelCard(props: Props) {
  const { model, index, isActive, onPut, onShow } = props;
  const title = modelTitle(model);
  return (
    <GridCell
      tabIndex={isActive ? 0 : -1}
      aria-label={labelOf(model)}
      data-item={index}
      className={styles.card}
      onFocus={() => props.onFocus(index)}
      onClick={() => (model.problem === null ? onPut(model) : onShow(model))}
      onContextMenu={(event) => {
        event.preventDefault();
        props.onMenu(event, index);
      }}
      draggable={model.node !== null}
      onDragStart={(event: DragEvent) => beginModelDrag(event, model)}
      onDragEnd={endModelDrag}
    >
      <span className={styles.image}>
        <ModelImage model={model} size={256} />
      </span>
      {/* Spaces part the words: joined, they would not be the words of its label. */}
      <span className={styles.title} title={model.name}>
        {title}
      </span>{" "}
      <span className={styles.badges}>
        <Badge className={styles.kind}>{t(`models.kind.${modelKind(model)}`)}</Badge>
        {model.problem !== null && (
          <Badge tone="warn" className={styles.kind}>
            <CircleAlert size={11} aria-hidden />
          </Badge>
        )}
      </span>{" "}
      <span className={styles.words}>
        <span className={styles.facts}>{wordsOf(model)}</span>
      </span>{" "}
      <span className={styles.line}>
        <span className={styles.facts}>{factsOf(model)}</span>{" "}
        {model.stars > 0 && (
          <span className={styles.stars}>
            <Star aria-hidden size={10} fill="currentColor" />
            {model.stars}
          </span>
        )}
      </span>
      <IconButton
        icon={Info}
        size="s"
        tabIndex={-1}
        label={t("models.details", { name: title })}
        className={styles.more}
        {...tip(t("models.details", { name: title }))}
        onClick={(event) => {
          event.stopPropagation();
          onShow(model);
        }}
      />
    </GridCell>
  );
});

function factsOf(model: ModelEntry): string {
  const family = model.family === null ? model.base_model : familyName(model.family);
  return [family, bytes(model.bytes)].filter(Boolean).join(" · ");
}

/** The words that bring a LoRA about, else a tag. */
function wordsOf({ trigger_words: words, tags: [tag, ...tags] }: ModelEntry): string {
  if (words.length > 0 || tag === undefined) return words.join(", ");
  return tags.length > 0 ? `#${tag} +${tags.length}` : `#${tag}`;
}

/** It begins with what is written on it, in its order: people call it so who speak to the page. */
function labelOf(model: ModelEntry): string {
  const parts = [
    modelTitle(model),
    t(`models.kind.${modelKind(model)}`),
    wordsOf(model),
    factsOf(model),
    model.stars > 0 ? t("library.starCount", { count: model.stars }) : "",
    model.problem ?? "",
  ];
  return parts.filter(Boolean).join(", ");
}
