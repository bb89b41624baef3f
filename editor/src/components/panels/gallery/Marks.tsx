/** What is noted of results, to be read and changed: stars, tags, a board, and a note of one alone. */
import { Plus, X } from "lucide-react";
import { useEffect, useId, useMemo, useState } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { Combobox, Field, TextArea } from "@/components/ui";
import { t } from "@/i18n";
import { useListedResults } from "@/store/gallery";
import {
  learnMarks,
  loadLibrary,
  type Marks,
  mark,
  marksOf,
  newBoard,
  useLibrary,
} from "@/store/library";
import { Stars } from "../lib/Stars";
import { Completing } from "./Completing";
import styles from "./Marks.module.css";

interface Props {
  readonly artifacts: readonly ArtifactEntry[];
}

export function ResultMarks({ artifacts }: Props) {
  const all = useMarks(artifacts);
  const [first] = all;
  const stars = all.every((each) => each.stars === first?.stars) ? (first?.stars ?? 0) : 0;
  return (
    <div className={styles.marks}>
      <Stars hasKeys value={stars} onChange={(next) => void mark(artifacts, { stars: next })} />
      <TagField artifacts={artifacts} all={all} />
      <BoardField artifacts={artifacts} all={all} />
      {artifacts.length === 1 && <NoteField artifacts={artifacts} all={all} />}
    </div>
  );
}

/** As they are now; those of results from elsewhere are asked for. */
export function useMarks(artifacts: readonly ArtifactEntry[]): readonly Marks[] {
  const items = useListedResults();
  const library = useLibrary();
  const key = artifacts.map(({ digest }) => digest).join(" ");
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each choice
  useEffect(() => {
    // Without them, it is as if nothing was noted yet.
    for (const artifact of artifacts) learnMarks(artifact).catch(() => undefined);
    if (!useLibrary.getState().isLoaded) loadLibrary().catch(() => undefined);
  }, [key]);
  return useMemo(
    () => artifacts.map((artifact) => marksOf(artifact, items, library)),
    [artifacts, items, library],
  );
}

interface FieldProps extends Props {
  readonly all: readonly Marks[];
}

function TagField({ artifacts, all }: FieldProps) {
  const known = useLibrary(({ tags }) => tags);
  const [text, setText] = useState("");
  const counts = useMemo(() => {
    const found = new Map<string, number>();
    for (const tag of all.flatMap(({ tags }) => tags)) found.set(tag, (found.get(tag) ?? 0) + 1);
    return found;
  }, [all]);
  const begun = text.trim().toLowerCase();
  const proposals = known
    .filter(({ tag }) => tag.toLowerCase().includes(begun) && counts.get(tag) !== all.length)
    .slice(0, 12)
    .map(({ tag, count }) => ({ value: tag, label: tag, hint: String(count) }));
  const add = (written: string) => {
    // Several at once, with commas between them.
    const tags = written.split(",").flatMap((each) => each.trim() || []);
    setText("");
    if (tags.length > 0) void mark(artifacts, { add_tags: tags });
  };
  return (
    <div className={styles.tags}>
      {[...counts].map(([tag, count]) => (
        <span key={tag} className={styles.tag} data-part={count < all.length || undefined}>
          {tag}
          {all.length > 1 && count < all.length && <small>{count}</small>}
          <button
            type="button"
            aria-label={t("library.removeTag", { tag })}
            onClick={() => void mark(artifacts, { remove_tags: [tag] })}
          >
            <X aria-hidden size={12} />
          </button>
        </span>
      ))}
      <span className={styles.adding}>
        <Plus aria-hidden size={13} />
        <Completing
          label={t("library.addTag")}
          className={styles.addField}
          value={text}
          onChange={setText}
          proposals={proposals}
          onTake={({ value }) => add(value)}
          onEnter={() => add(text)}
        />
      </span>
    </div>
  );
}

const NO_BOARD = "";

function BoardField({ artifacts, all }: FieldProps) {
  const boards = useLibrary((library) => library.boards);
  const id = useId();
  const [first] = all;
  const isSame = all.every(({ board }) => board === first?.board);
  const choose = async (value: string) => {
    if (value === NO_BOARD) return void mark(artifacts, { board: null });
    const known = boards.find((board) => board.id === value);
    const board = known ?? (await newBoard(value));
    if (board !== null) await mark(artifacts, { board: board.id });
  };
  return (
    <Field id={id} label={t("library.board")}>
      <Combobox
        id={id}
        allowCustom
        value={isSame ? (first?.board ?? NO_BOARD) : "*"}
        options={[
          ...(isSame ? [] : [{ value: "*", label: t("library.several"), disabled: true }]),
          { value: NO_BOARD, label: t("library.noBoard") },
          ...boards.map((board) => ({ value: board.id, label: board.name })),
        ]}
        onChange={(value) => void choose(value)}
      />
    </Field>
  );
}

function NoteField({ artifacts, all }: FieldProps) {
  const note = all[0]?.note ?? "";
  const digest = artifacts[0]?.digest;
  const [draft, setDraft] = useState<{ of: string | undefined; text: string } | null>(null);
  const id = useId();
  const text = draft?.of === digest ? draft?.text : undefined;
  return (
    <Field id={id} label={t("library.note")}>
      <TextArea
        id={id}
        rows={2}
        autoGrow
        value={text ?? note}
        placeholder={t("library.noteHint")}
        onChange={(next) => setDraft({ of: digest, text: next })}
        onCommit={(next) => {
          const found = next.trim();
          setDraft(null);
          if (found !== note) void mark(artifacts, { note: found === "" ? null : found });
        }}
      />
    </Field>
  );
}
