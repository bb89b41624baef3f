/** The search of the gallery: words, and terms that stand as chips and can be put together by menus. */
import { ListFilter, Search, X } from "lucide-react";
import { useCallback, useEffect, useId, useRef, useState } from "react";
import { Button, Combobox, Field, IconButton, Popover, Select, TextField } from "@/components/ui";
import { t } from "@/i18n";
import {
  completionsFor,
  searchText,
  splitSearch,
  type Term,
  type Values,
  withTerm,
  written,
} from "@/model/librarySearch";
import { useCatalogue } from "@/store/catalogue";
import { useGallery } from "@/store/gallery";
import { loadLibrary, useLibrary } from "@/store/library";
import { STARS } from "../lib/Stars";
import { Completing } from "./Completing";
import styles from "./LibrarySearch.module.css";

/** Milliseconds after which the server is asked for what was typed. */
const PAUSE = 250;
export const KINDS = [
  ...["image", "video", "audio", "mesh", "points", "molecule", "plot", "text"],
] as const;
const SIZES = ["512x512", "768x768", "832x1216", "1024x1024", "1216x832", "1344x768"];

export function LibrarySearch() {
  const { terms, typed, setTerms, setTyped } = useSearch();
  const values = useValues();
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const proposals = completionsFor(typed, values).map(({ text, term, isOpen: isBegun }) => ({
    value: text,
    label: isBegun ? `${term.name}:` : term.value,
    hint: t(`library.term.${term.name}`),
  }));
  const remove = (term: Term) => setTerms(terms.filter((each) => each !== term));
  return (
    <div className={styles.search} data-search="">
      <div className={styles.box}>
        <Search aria-hidden size={14} className={styles.lens} />
        {terms.map((term) => (
          <span key={written(term)} className={styles.term}>
            <small>{t(`library.term.${term.name}`)}</small>
            <span>{term.value}</span>
            <button
              type="button"
              aria-label={t("library.removeTerm", { term: written(term) })}
              onClick={() => remove(term)}
            >
              <X aria-hidden size={12} />
            </button>
          </span>
        ))}
        <Completing
          type="search"
          label={t("panels.gallery.search")}
          placeholder={terms.length > 0 ? "" : t("library.search")}
          className={styles.field}
          value={typed}
          onChange={setTyped}
          proposals={typed.trim() === "" ? [] : proposals}
          onTake={({ value }) => setTyped(value)}
          onEnter={() => setTyped(typed.trimEnd() === "" ? "" : `${typed.trimEnd()} `)}
          onBack={() => {
            const last = terms.at(-1);
            if (last) remove(last);
          }}
        />
        {(typed !== "" || terms.length > 0) && (
          <IconButton icon={X} size="s" label={t("ui.clear")} onClick={() => setTerms([], "")} />
        )}
      </div>
      <IconButton
        ref={button}
        icon={ListFilter}
        size="s"
        label={t("library.builder")}
        pressed={isOpen}
        onClick={() => setOpen(!isOpen)}
      />
      {isOpen && button.current && (
        <Popover
          anchor={button.current}
          align="end"
          label={t("library.builder")}
          onClose={() => setOpen(false)}
        >
          <Builder terms={terms} values={values} onChange={setTerms} />
        </Popover>
      )}
    </div>
  );
}

interface BuilderProps {
  readonly terms: readonly Term[];
  readonly values: Values;
  readonly onChange: (terms: readonly Term[]) => void;
}

const ANY = "";

/** A field for each term that results are mostly looked for by. */
function Builder({ terms, values, onChange }: BuilderProps) {
  const id = useId();
  const chosen = (name: string) => terms.find((term) => term.name === name)?.value ?? "";
  const set = (name: string, value: string) => {
    const others = terms.filter((term) => term.name !== name);
    onChange(value.trim() === "" ? others : withTerm(others, { name, value: value.trim() }));
  };
  const choice = (name: string) => (
    <Field id={`${id}-${name}`} label={t(`library.term.${name}`)}>
      <Combobox
        id={`${id}-${name}`}
        allowCustom
        value={chosen(name)}
        placeholder={t("library.any")}
        options={[
          { value: ANY, label: t("library.any") },
          ...(values[name] ?? []).map((value) => ({ value, label: value })),
        ]}
        onChange={(value) => set(name, value)}
      />
    </Field>
  );
  const line = (name: string, type: "text" | "date", placeholder?: string) => (
    <Field id={`${id}-${name}`} label={t(`library.term.${name}`)}>
      <Written
        id={`${id}-${name}`}
        type={type}
        placeholder={placeholder}
        value={chosen(name)}
        onCommit={(value) => set(name, value)}
      />
    </Field>
  );
  return (
    <div className={styles.builder}>
      {choice("model")}
      {choice("tag")}
      {choice("board")}
      <Field id={`${id}-stars`} label={t("library.term.stars")}>
        <Select
          id={`${id}-stars`}
          value={chosen("stars")}
          options={[
            { value: ANY, label: t("library.any") },
            ...STARS.map((star) => ({
              value: String(star),
              label: t("library.atLeast", { stars: "★".repeat(star) }),
            })),
          ]}
          onChange={(value) => set("stars", value)}
        />
      </Field>
      {choice("size")}
      {line("seed", "text", "1234")}
      {line("after", "date")}
      {line("before", "date")}
      <Button className={styles.reset} size="s" onClick={() => onChange([])}>
        {t("library.reset")}
      </Button>
    </div>
  );
}

interface WrittenProps {
  readonly id: string;
  readonly type: "text" | "date";
  readonly value: string;
  readonly placeholder?: string | undefined;
  readonly onCommit: (value: string) => void;
}

/** A value that counts once it is whole. */
function Written({ id, type, value, placeholder, onCommit }: WrittenProps) {
  const [draft, setDraft] = useState<string | null>(null);
  return (
    <TextField
      id={id}
      type={type}
      value={draft ?? value}
      placeholder={placeholder}
      onChange={(next) => {
        setDraft(next);
        // The browser gives a date only when it is one.
        if (type === "date") onCommit(next);
      }}
      onCommit={(next) => {
        setDraft(null);
        if (next !== value) onCommit(next);
      }}
    />
  );
}

/** What is searched for as it is typed; the server is asked after a short pause. */
function useSearch() {
  const asked = useGallery(({ text }) => text);
  const [shown, setShown] = useState(() => splitSearch(asked));
  const sent = useRef(asked);
  const waiting = useRef<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const send = useCallback(() => {
    clearTimeout(timer.current);
    const text = waiting.current;
    waiting.current = null;
    if (text === null || text === sent.current) return;
    sent.current = text;
    useGallery.getState().search(text);
  }, []);
  // What was typed last counts, also where the panel is closed within the pause.
  useEffect(() => send, [send]);
  useEffect(() => {
    // Somebody else has searched, such as a command.
    if (asked === sent.current) return;
    sent.current = asked;
    setShown(splitSearch(asked));
  }, [asked]);
  const ask = (terms: readonly Term[], typed: string, pause: number) => {
    setShown({ terms, typed });
    clearTimeout(timer.current);
    waiting.current = searchText(terms, typed);
    timer.current = setTimeout(send, pause);
  };
  const setTerms = (terms: readonly Term[], typed = shown.typed) => ask(terms, typed, 0);
  const setTyped = (typed: string) => {
    const found = splitSearch(typed, false);
    const terms = found.terms.reduce(withTerm, shown.terms);
    ask(terms, found.typed, found.terms.length > 0 ? 0 : PAUSE);
  };
  return { ...shown, setTerms, setTyped };
}

/** What the terms may be, as far as it is known here. */
function useValues(): Values {
  const { tags, boards } = useLibrary();
  const models = useCatalogue((catalogue) => catalogue.models);
  useEffect(() => {
    // Proposals are a help: without them the terms are typed.
    useCatalogue
      .getState()
      .needModels()
      .catch(() => undefined);
    if (!useLibrary.getState().isLoaded) loadLibrary().catch(() => undefined);
  }, []);
  return {
    tag: tags.map(({ tag }) => tag),
    board: boards.map(({ name }) => name),
    model: [...new Set((models ?? []).map(({ name }) => name))],
    size: SIZES,
    type: KINDS,
    stars: STARS.map(String),
  };
}
