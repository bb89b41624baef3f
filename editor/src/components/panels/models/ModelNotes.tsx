/** What people note about a model: stars, tags, trigger words and notes. */
import { Copy, Pencil, X } from "lucide-react";
import { useId, useState } from "react";
import type { ModelEntry } from "@/api/schema";
import { putWords } from "@/commands/models";
import { copyText } from "@/components/shell/copyText";
import { Button, IconButton, TextArea, TextField, tip } from "@/components/ui";
import { t } from "@/i18n";
import { notify } from "@/store/notices";
import { Stars } from "../lib/Stars";
import { change } from "./actions";
import styles from "./Detail.module.css";

interface Props {
  readonly model: ModelEntry;
  readonly allowed: boolean;
}

/** Zero to five; the chosen one again takes all away. */
export function ModelStars({ model, allowed }: Props) {
  if (!allowed && model.stars === 0) return null;
  return (
    <Stars
      value={model.stars}
      label={t("models.stars")}
      disabled={!allowed}
      onChange={(stars) => void change(model, { stars })}
    />
  );
}

/** Click puts them into the prompt. */
export function TriggerWords({ model, allowed }: Props) {
  const [edited, setEdited] = useState<string | null>(null);
  const id = useId();
  const words = model.trigger_words;
  if (words.length === 0 && !allowed) return null;
  const isForPrompts = words.length > 0 || model.use !== "model";
  if (!isForPrompts && edited === null) return <AddWords onAdd={() => setEdited("")} />;
  const save = async () => {
    const done = await change(model, { trigger_words: listOf(edited ?? "") });
    if (done) setEdited(null);
  };
  return (
    <section className={styles.section} aria-labelledby={id}>
      <h4 id={id}>
        {t("models.triggerWords")}
        {words.length > 0 && (
          <IconButton
            icon={Copy}
            size="s"
            label={t("models.copyWords")}
            onClick={() => void copyText(words.join(", "))}
          />
        )}
        {allowed && edited === null && (
          <IconButton
            icon={Pencil}
            size="s"
            label={t("models.editWords")}
            onClick={() => setEdited(words.join(", "))}
          />
        )}
      </h4>
      {edited === null ? (
        <div className={styles.chips}>
          {words.map((word) => (
            <button
              key={word}
              type="button"
              className={styles.chip}
              {...tip(t("models.insertWord"))}
              onClick={() => insert(word)}
            >
              {word}
            </button>
          ))}
          {words.length === 0 && <span className={styles.faint}>{t("models.noWords")}</span>}
        </div>
      ) : (
        <form
          className={styles.form}
          onSubmit={(event) => {
            event.preventDefault();
            void save();
          }}
        >
          <TextField
            value={edited}
            onChange={setEdited}
            label={t("models.triggerWords")}
            placeholder={t("models.commas")}
            data-autofocus=""
          />
          <Button type="submit" size="s" variant="primary">
            {t("models.save")}
          </Button>
          <Button size="s" onClick={() => setEdited(null)}>
            {t("files.cancel")}
          </Button>
        </form>
      )}
    </section>
  );
}

function AddWords({ onAdd }: { readonly onAdd: () => void }) {
  return (
    <Button size="s" variant="ghost" icon={Pencil} className={styles.add} onClick={onAdd}>
      {t("models.editWords")}
    </Button>
  );
}

/** Into the prompt of the graph; where there is none, into the clipboard. */
function insert(word: string): void {
  if (putWords(word)) return;
  void copyText(word).then((done) => {
    if (done)
      notify({ kind: "info", title: t("models.wordCopied"), detail: word, key: "models.words" });
  });
}

interface TagsProps extends Props {
  readonly models: readonly ModelEntry[];
}

export function Tags({ model, models, allowed }: TagsProps) {
  const [typed, setTyped] = useState("");
  const id = useId();
  const { tags } = model;
  if (tags.length === 0 && !allowed) return null;
  const known = [...new Set(models.flatMap((each) => each.tags))].filter(
    (tag) => !tags.includes(tag),
  );
  const add = async () => {
    const added = listOf(typed).filter((tag) => !tags.includes(tag));
    if (added.length === 0) return;
    if (await change(model, { tags: [...tags, ...added] })) setTyped("");
  };
  return (
    <section className={styles.section} aria-labelledby={id}>
      <h4 id={id}>{t("models.tags")}</h4>
      <div className={styles.chips}>
        {tags.map((tag) => (
          <span key={tag} className={styles.tag}>
            {tag}
            {allowed && (
              <button
                type="button"
                aria-label={t("models.removeTag", { tag })}
                onClick={() => void change(model, { tags: tags.filter((each) => each !== tag) })}
              >
                <X aria-hidden size={11} />
              </button>
            )}
          </span>
        ))}
        {allowed && (
          <TextField
            className={styles.newTag}
            value={typed}
            onChange={setTyped}
            onCommit={() => void add()}
            label={t("models.addTag")}
            placeholder={t("models.addTag")}
            list={`${id}-known`}
          />
        )}
        <datalist id={`${id}-known`}>
          {known.map((tag) => (
            <option key={tag} value={tag} />
          ))}
        </datalist>
      </div>
    </section>
  );
}

/** The longest that the server takes. */
const LONGEST = 300;

export function Notes({ model, allowed }: Props) {
  const [typed, setTyped] = useState<string | null>(null);
  const id = useId();
  const notes = model.notes ?? "";
  if (notes === "" && !allowed) return null;
  const save = (text: string) => {
    if (text !== notes) void change(model, { notes: text });
    setTyped(null);
  };
  return (
    <section className={styles.section}>
      <h4>
        <label htmlFor={id}>{t("models.notes")}</label>
      </h4>
      <TextArea
        id={id}
        rows={2}
        autoGrow
        readOnly={!allowed}
        maxLength={LONGEST}
        value={typed ?? notes}
        onChange={setTyped}
        onCommit={save}
      />
    </section>
  );
}

function listOf(text: string): string[] {
  return [...new Set(text.split(/[,\n]/).map((part) => part.trim()))].filter(Boolean);
}
