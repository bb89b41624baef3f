/** At nodes with open comments: how many there are. A click shows them. */
import { ViewportPortal } from "@xyflow/react";
import { MessageSquare } from "lucide-react";
import { memo } from "react";
import { boxOf, type CanvasNode } from "@/components/canvas/adapt";
import { t } from "@/i18n";
import { threadsIn } from "@/model/edits";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { useDocuments } from "@/store/documents";
import { useUi } from "@/store/ui";
import styles from "./CommentMarks.module.css";

interface Props {
  readonly workflow: Workflow;
  readonly scope: Scope;
  readonly nodes: readonly CanvasNode[];
}

export const CommentMarks = memo(function CommentMarks({ workflow, scope, nodes }: Props) {
  const threads = threadsIn(workflow, scope).filter(({ isResolved }) => !isResolved);
  if (threads.length === 0) return null;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return (
    <ViewportPortal>
      {threads.map(({ node, comments }) => {
        const card = byId.get(node);
        if (card === undefined) return null;
        const { x, y, width } = boxOf(card);
        const label = t("together.mark", { node, count: comments.length });
        return (
          <button
            key={node}
            type="button"
            className={`${styles.mark} nodrag nopan`}
            style={{ transform: `translate(${x + width - 14}px, ${y - 14}px)` }}
            aria-label={label}
            data-tip={label}
            onClick={(event) => {
              event.stopPropagation();
              useDocuments.getState().select([node]);
              useUi.getState().showPanel("right", "comments");
            }}
          >
            <MessageSquare aria-hidden size={12} />
            {comments.length}
          </button>
        );
      })}
    </ViewportPortal>
  );
});
