/** What people say about nodes: the selected node's thread first, then all others. */
import { Check, MessageSquare, Pencil, RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import panel from "@/components/panels/lib/Panel.module.css";
import { Button, EmptyState, IconButton, TextArea, Toggle, tip } from "@/components/ui";
import { t } from "@/i18n";
import { pageLanguage } from "@/i18n/format";
import {
  addComment,
  editComment,
  isOwnComment,
  removeComment,
  resolveThread,
  type Thread,
  threadsOf,
} from "@/model/edits";
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
  const author = useConnection((state) => state.caller?.name ?? "");
  const send = (text: string) => {
    const comment = { id: newId(), node, author, at: now(), text, resolved: false };
    edit("comment", (workflow) => addComment(workflow, scope, comment));
  };
  const label = t("together.commentOn", { node });
  return <TextForm label={label} action={t("together.comment")} onSend={send} />;
}

interface TextFormProps {
  readonly label: string;
  readonly action: string;
  readonly first?: string;
  readonly onSend: (text: string) => void;
  readonly onCancel?: () => void;
}

/** A text that is sent by Ctrl+Enter. */
function TextForm({ label, action, first = "", onSend, onCancel }: TextFormProps) {
  const [text, setText] = useState(first);
  const send = () => {
    if (text.trim() === "") return;
    onSend(text.trim());
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
        label={label}
        placeholder={label}
        autoFocus={onCancel !== undefined}
        onKeyDown={(event) => {
          const isSend = event.key === "Enter" && (event.ctrlKey || event.metaKey);
          const isCancel = event.key === "Escape" && onCancel !== undefined;
          if (!isSend && !isCancel) return;
          // Else the workflow would be run.
          event.preventDefault();
          event.stopPropagation();
          if (isSend) send();
          else onCancel?.();
        }}
      />
      <div className={styles.actions}>
        {onCancel && (
          <Button size="s" onClick={onCancel}>
            {t("together.cancel")}
          </Button>
        )}
        <Button size="s" type="submit" disabled={text.trim() === ""}>
          {action}
        </Button>
      </div>
    </form>
  );
}

function ThreadView({ thread }: { readonly thread: Thread }) {
  const { scope, node, comments, isResolved } = thread;
  const person = useConnection((state) => state.caller?.name ?? "");
  const last = comments.findLast((comment) => comment.resolved);
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
        <IconButton
          icon={isResolved ? RotateCcw : Check}
          size="s"
          label={t(isResolved ? "together.reopen" : "together.resolve")}
          onClick={() =>
            edit(isResolved ? "reopen" : "resolve", (workflow) =>
              resolveThread(workflow, scope, node, isResolved ? null : { by: person, at: now() }),
            )
          }
        />
      </header>
      {isResolved && <p className={`${styles.faint} ${styles.resolved}`}>{resolvedText(last)}</p>}
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
  const { id, author, at, text, edited } = comment;
  const person = useConnection((state) => state.caller?.name ?? "");
  const [isEditing, setEditing] = useState(false);
  return (
    <li className={styles.comment}>
      <div className={styles.head}>
        <strong>{author}</strong>
        <time className={styles.faint} dateTime={at}>
          {timeText(at)}
        </time>
        {edited && (
          <span
            className={styles.faint}
            {...tip(t("together.editedAt", { time: timeText(edited) }))}
          >
            {t("together.edited")}
          </span>
        )}
        {isOwnComment(comment, person) && (
          <span className={styles.own}>
            <IconButton
              icon={Pencil}
              size="s"
              label={t("together.editComment")}
              onClick={() => setEditing(true)}
            />
            <IconButton
              icon={Trash2}
              size="s"
              label={t("together.deleteComment")}
              onClick={() => edit("delete", (workflow) => removeComment(workflow, scope, id))}
            />
          </span>
        )}
      </div>
      {isEditing ? (
        <TextForm
          label={t("together.editComment")}
          action={t("together.saveComment")}
          first={text}
          onCancel={() => setEditing(false)}
          onSend={(next) => {
            edit("edit", (workflow) => editComment(workflow, scope, id, next, now()));
            setEditing(false);
          }}
        />
      ) : (
        <p className={styles.text}>{text}</p>
      )}
    </li>
  );
}

function resolvedText(comment: NodeComment | undefined): string {
  if (!comment?.resolvedAt) return t("together.resolved");
  const time = timeText(comment.resolvedAt);
  return comment.resolvedBy
    ? t("together.resolvedBy", { name: comment.resolvedBy, time })
    : t("together.resolvedAt", { time });
}

function now(): string {
  return new Date().toISOString();
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
