/** A note on the canvas: words for people, which no run looks at. */
import type { NodeProps } from "@xyflow/react";
import { memo, useMemo } from "react";
import type { NoteNode } from "@/components/canvas/adapt";
import { InlineText } from "@/components/canvas/card/InlineText";
import { edit } from "@/components/canvas/edit";
import { vars } from "@/components/canvas/vars";
import { cx } from "@/components/ui";
import { t } from "@/i18n";
import { updateNote } from "@/model/edits";
import { blocksOf, hasLinks } from "@/model/markdown";
import { BoxResize } from "./BoxResize";
import { tintOf } from "./colors";
import { Marked } from "./Marked";
import styles from "./NoteCard.module.css";

function Card({ data, selected }: NodeProps<NoteNode>) {
  const { note } = data;
  const blocks = useMemo(() => blocksOf(note.text), [note.text]);
  const change = (label: string, changes: Parameters<typeof updateNote>[3]) =>
    edit(label, (workflow, scope) => updateNote(workflow, scope, note.id, changes));
  return (
    <section
      className={cx(styles.note, selected && styles.selected)}
      style={vars({ "--tint": tintOf(note.color || "yellow") })}
    >
      <InlineText
        text={note.text}
        label={t("canvas.note.text")}
        placeholder={t("canvas.note.empty")}
        onCommit={(text) => change("canvas.edit.note", { text })}
        className={styles.text}
        multiline
        hasLinks={hasLinks(blocks)}
      >
        <Marked blocks={blocks} />
      </InlineText>
      <BoxResize
        minWidth={100}
        minHeight={56}
        className={cx(styles.resize)}
        onResize={(box) => change("canvas.edit.resize", { box })}
      />
    </section>
  );
}

export const NoteCard = memo(Card, (a, b) => a.data === b.data && a.selected === b.selected);
