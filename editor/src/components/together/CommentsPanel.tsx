/** What people say about nodes: the selected node's thread first, then all others. */
import { Check, MessageSquare, RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import panel from "@/components/panels/lib/Panel.module.css";
import { Button, EmptyState, IconButton, TextArea, Toggle } from "@/components/ui";
import { t } from "@/i18n";
import { pageLanguage } from "@/i18n/format";
import { addComment, removeComment, resolveThread, type Thread, threadsOf } from "@/model/edits";
import { nodeNames } from "@/model/items";
import type { NodeComment } from "@/model/layout";
import { nodesOf, type Scope } from "@/model/scope";
import { useConnection } from "@/store/connection";
import { currentScope, currentWorkflow, newId, useActive, useDocuments } from "@/store/documents";
import { focusNode } from "@/store/focus";
import styles from "./CommentsPanel.module.css";

export default function CommentsPanel() {
  const workflow = useActive(currentWorkflow);
  const scope = useActive(currentScope);
  const selection = useActive((document) => document.selection);
  const [showsResolved, setShowsResolved] = useState(false);
  const [selected] = nodeNames(selection).filter((name) => nodesOf(workflow, scope).has(name));
  const threads = threadsOf(workflow);
  const isSelected = (thread: Thread) => thread.scope === scope && thread.node === selected;
  const own = threads.find(isSelected);
  const others = threads.filter((each) => !isSelected(each) && (showsResolved || !each.isResolved));
  return (
    <div className={panel.panel}>
      <div className={panel.bar}>
        <span aria-hidden className={`${panel.grow} ${panel.count}`}>
          {t("together.showResolved")}
        </span>
        <Toggle
          checked={showsResolved}
          onChange={setShowsResolved}
          label={t("together.showResolved")}
        />
      </div>
      <div className={styles.threads}>
        {selected === undefined ? (
          <p className={panel.advice}>{t("together.selectNode")}</p>
        ) : (
          <>
            {own && <ThreadView thread={own} />}
            <Writing key={`${scope}/${selected}`} scope={scope} node={selected} />
          </>
        )}
        {others.map((thread) => (
          <ThreadView key={`${thread.scope}/${thread.node}`} thread={thread} />
        ))}
        {threads.length === 0 && (
          <EmptyState icon={MessageSquare} title={t("together.noComments")} />
        )}
      </div>
    </div>
  );
}

function Writing({ scope, node }: { readonly scope: Scope; readonly node: string }) {
  const [text, setText] = useState("");
  const author = useConnection((state) => state.caller?.name ?? "");
  const send = () => {
    const says = text.trim();
    if (says === "") return;
    const at = new Date().toISOString();
    const comment = { id: newId(), node, author, at, text: says, resolved: false };
    edit("comment", (workflow) => addComment(workflow, scope, comment));
    setText("");
  };
  return (
    <form
      className={styles.writing}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <TextArea
        autoGrow
        rows={2}
        maxLength={5000}
        value={text}
        onChange={setText}
        label={t("together.commentOn", { node })}
        placeholder={t("together.commentOn", { node })}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
          // Else the workflow would be run.
          event.preventDefault();
          event.stopPropagation();
          send();
        }}
      />
      <Button size="s" type="submit" disabled={text.trim() === ""}>
        {t("together.comment")}
      </Button>
    </form>
  );
}

function ThreadView({ thread }: { readonly thread: Thread }) {
  const { scope, node, comments, isResolved } = thread;
  const goThere = () => focusNode({ node, path: scope === null ? [] : [scope] });
  return (
    <section
      className={styles.thread}
      aria-label={t("together.mark", { node, count: comments.length })}
    >
      <header className={styles.head}>
        <button type="button" className={styles.node} onClick={goThere}>
          {scope === null ? node : `${scope} / ${node}`}
        </button>
        {isResolved && <span className={styles.faint}>{t("together.resolved")}</span>}
        <IconButton
          icon={isResolved ? RotateCcw : Check}
          size="s"
          label={t(isResolved ? "together.reopen" : "together.resolve")}
          onClick={() =>
            edit(isResolved ? "reopen" : "resolve", (workflow) =>
              resolveThread(workflow, scope, node, !isResolved),
            )
          }
        />
      </header>
      <ul className={styles.comments}>
        {comments.map((comment) => (
          <CommentView key={comment.id} scope={scope} comment={comment} />
        ))}
      </ul>
    </section>
  );
}

interface CommentProps {
  readonly scope: Scope;
  readonly comment: NodeComment;
}

function CommentView({ scope, comment }: CommentProps) {
  const { id, author, at, text } = comment;
  return (
    <li className={styles.comment}>
      <div className={styles.head}>
        <strong>{author}</strong>
        <time className={styles.faint} dateTime={at}>
          {timeText(at)}
        </time>
        <IconButton
          icon={Trash2}
          size="s"
          label={t("together.deleteComment")}
          onClick={() => edit("delete", (workflow) => removeComment(workflow, scope, id))}
        />
      </div>
      <p className={styles.text}>{text}</p>
    </li>
  );
}

function timeText(at: string): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "";
  return time.toLocaleString(pageLanguage(), { dateStyle: "medium", timeStyle: "short" });
}

function edit(
  what: string,
  change: Parameters<ReturnType<typeof useDocuments.getState>["change"]>[1],
) {
  useDocuments.getState().change(`together.history.${what}`, change, { named: true });
}
