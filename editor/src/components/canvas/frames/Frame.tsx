/** A group: a titled frame behind the cards that it holds, which move with it. */
import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import type { FrameNode } from "@/components/canvas/adapt";
import { InlineText } from "@/components/canvas/card/InlineText";
import { edit } from "@/components/canvas/edit";
import { vars } from "@/components/canvas/vars";
import { cx } from "@/components/ui";
import { t } from "@/i18n";
import { updateGroup } from "@/model/edits";
import { BoxResize } from "./BoxResize";
import { tintOf } from "./colors";
import styles from "./Frame.module.css";

function FrameCard({ data, selected }: NodeProps<FrameNode>) {
  const { group } = data;
  const change = (label: string, changes: Parameters<typeof updateGroup>[3]) =>
    edit(label, (workflow, scope) => updateGroup(workflow, scope, group.id, changes));
  return (
    <section
      className={cx(styles.frame, selected && styles.selected)}
      style={vars({ "--tint": group.color ? tintOf(group.color) : "var(--border-strong)" })}
      aria-label={t("canvas.group.label", { title: group.title })}
    >
      <div className={styles.grip} data-grip>
        <InlineText
          text={group.title}
          label={t("canvas.group.title")}
          placeholder={t("canvas.group.untitled")}
          onCommit={(title) => change("canvas.edit.renameGroup", { title })}
          className={styles.title}
        />
      </div>
      <BoxResize
        minWidth={120}
        minHeight={80}
        className={cx(styles.resize)}
        onResize={(box) => change("canvas.edit.resize", { box })}
      />
    </section>
  );
}

export const Frame = memo(FrameCard, (a, b) => a.data === b.data && a.selected === b.selected);
