/** One field for everything: commands, what is in the workflow, node types, workflows, results. */
import {
  type KeyboardEvent,
  useCallback,
  useDeferredValue,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
} from "react";
import { api } from "@/api/client";
import { Thumbnail } from "@/components/panels/gallery/Thumbnail";
import { Highlight } from "@/components/panels/lib/Highlight";
import { Dot } from "@/components/panels/lib/NodePreview";
import { movedBy, RowList, rowId } from "@/components/panels/lib/RowList";
import { cx, Dialog, Kbd, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { isReadingPacks, useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { commandHits, runnableNow } from "./commandHits";
import { graphHits } from "./graphHits";
import { type Hit, KINDS, type Kind, type Row, rowsOf } from "./hits";
import { resultHits } from "./resultHits";
import styles from "./SearchBox.module.css";
import { lastQuery, rememberQuery } from "./stepping";
import { typeHits } from "./typeHits";
import { useAsked } from "./useAsked";
import { workflowHits } from "./workflowHits";

const ROW = 42;
const HEADING = 26;
const PAGE = 8;
/** Of what the server finds. */
const MOST = 40;

interface Props {
  /** The kind that is looked for at first; all of them if left out. */
  readonly kind?: Kind;
  /** What was typed before this was drawn. */
  readonly typed?: string;
  readonly onClose: () => void;
}

export default function SearchBox({ kind, typed, onClose }: Props) {
  const [only, setOnly] = useState<Kind | null>(kind ?? null);
  const [query, setQuery] = useState(() => (kind === "graph" ? lastQuery() : ""));
  const [chosen, setChosen] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const { hits, isStale } = useHits(query);
  const isReading = useCatalogue(isReadingPacks);
  const [isEntered, setEntered] = useState(false);
  const rows = useMemo(() => rowsOf(hits, only), [hits, only]);
  const at = Math.max(
    0,
    rows.findIndex(({ hit }) => hit.id === chosen),
  );
  useEffect(() => {
    if (typed) setQuery(typed);
  }, [typed]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is looked for again is chosen once, to be typed over
  const begin = useCallback((input: HTMLInputElement | null) => {
    field.current = input;
    if (!typed) input?.select();
  }, []);
  const choose = (hit: Hit | undefined) => {
    if (!hit) return;
    onClose();
    if (hit.kind === "graph") rememberQuery(query, hit.id.slice("graph:".length));
    // After the dialog is gone, so that what opens next gets the focus.
    setTimeout(hit.open);
  };
  const goTo = (index: number) => setChosen(rows[index]?.hit.id ?? null);
  const onKeyDown = (event: KeyboardEvent) => {
    const isLineKey = event.key === "Home" || event.key === "End";
    const to = isLineKey && query !== "" ? null : moved(event.key, at, rows.length);
    if (to !== null) goTo(to);
    else if (event.key === "Enter") setEntered(true);
    else return;
    event.preventDefault();
  };
  // Who types faster than the list is made means its next first row, not the one still shown.
  useEffect(() => {
    if (!isEntered || isStale) return;
    setEntered(false);
    choose(rows[at]?.hit);
  });
  return (
    <Dialog
      title={t("search.title")}
      bare
      padded={false}
      onClose={onClose}
      className={styles.dialog ?? ""}
    >
      <TextField
        ref={begin}
        value={query}
        label={t("search.title")}
        placeholder={t(only === null ? "search.hint" : `search.hint.${only}`)}
        role="combobox"
        aria-expanded={rows.length > 0}
        aria-controls={rows.length > 0 ? `${id}-list` : undefined}
        aria-activedescendant={rows.length > 0 ? rowId(`${id}-list`, at) : undefined}
        data-autofocus=""
        className={styles.query}
        onChange={(text) => {
          setQuery(text);
          setChosen(null);
          setEntered(false);
        }}
        onKeyDown={onKeyDown}
      />
      <Kinds
        hits={hits}
        only={only}
        onChoose={(next) => {
          setOnly(next);
          setChosen(null);
          field.current?.focus();
        }}
      />
      <div className={styles.frame}>
        {rows.length > 0 && (
          <RowList
            id={`${id}-list`}
            label={t("search.results")}
            items={rows}
            height={(index) => ROW + (rows[index]?.isFirst ? HEADING : 0)}
            keyOf={({ hit }) => hit.id}
            aria={({ hit, isFirst }) => (isFirst ? described(hit) : NOTHING)}
            active={at}
            onActive={goTo}
            onOpen={({ hit }) => choose(hit)}
            opensByClick
            focus="field"
            className={styles.list}
          >
            {(row, { active }) => <HitRow row={row} active={active} />}
          </RowList>
        )}
        {rows.length === 0 && (
          <p className={styles.none} role="status">
            {t(query.trim() === "" ? "search.type" : "search.nothing", { query })}
            {isReading && ` ${t("shell.readingPacks")}`}
          </p>
        )}
      </div>
    </Dialog>
  );
}

const NOTHING = {};

/** A heading says what its rows are; it is no part of the first one's name. */
function described(hit: Hit): Record<string, string> {
  return { "aria-description": t(`search.kind.${hit.kind}`) };
}

/** Arrows go round; other keys stop at the ends. */
function moved(key: string, from: number, count: number): number | null {
  if (key === "ArrowDown" && from === count - 1) return 0;
  if (key === "ArrowUp" && from === 0) return count - 1;
  return movedBy(key, from, count, PAGE);
}

const savedLike = async (text: string, signal: AbortSignal) =>
  text === ""
    ? []
    : (await api.GET("/workflows", { params: { query: { text, limit: MOST } }, signal })).items;
const resultsLike = async (text: string, signal: AbortSignal) => {
  const asked = text === "" ? {} : { text };
  const query = { ...asked, distinct: "true", limit: MOST } as const;
  return (await api.GET("/artifacts", { params: { query }, signal })).items;
};

/** What is found, and whether it was found for what stood there before. */
function useHits(query: string): { readonly hits: readonly Hit[]; readonly isStale: boolean } {
  const text = useDeferredValue(query);
  const [commands] = useState(runnableNow);
  const types = useCatalogue((catalogue) => catalogue.types);
  const templates = useCatalogue((catalogue) => catalogue.templates);
  const workflow = useActive((_document, found) => found);
  const saved = useAsked("saved", savedLike, text.trim());
  const results = useAsked("results", resultsLike, text.trim());
  const here = useMemo(
    () => [
      ...commandHits(commands, text),
      ...graphHits(workflow, text, types),
      ...(types === null ? [] : typeHits(types, workflow, text)),
    ],
    [commands, workflow, text, types],
  );
  const hits = useMemo(
    () => [
      ...here,
      ...workflowHits(text, { templates: templates ?? [], saved }),
      ...resultHits(results),
    ],
    [here, text, templates, saved, results],
  );
  return { hits, isStale: text !== query };
}

interface KindsProps {
  readonly hits: readonly Hit[];
  readonly only: Kind | null;
  readonly onChoose: (kind: Kind | null) => void;
}

/** What is looked for: everything, or things of one kind; with how many there are. */
function Kinds({ hits, only, onChoose }: KindsProps) {
  return (
    <fieldset className={styles.kinds} aria-label={t("search.kinds")}>
      {[null, ...KINDS].map((kind) => {
        const count = kind === null ? 0 : hits.filter((hit) => hit.kind === kind).length;
        return (
          <button
            key={kind}
            type="button"
            aria-pressed={kind === only}
            className={styles.kind}
            onClick={() => onChoose(kind)}
          >
            {t(kind === null ? "search.kind.all" : `search.kind.${kind}`)}
            {count > 0 && <small>{count}</small>}
          </button>
        );
      })}
    </fieldset>
  );
}

function HitRow({ row, active }: { readonly row: Row; readonly active: boolean }) {
  const { hit, isFirst } = row;
  return (
    <>
      {isFirst && (
        <div aria-hidden className={styles.heading}>
          {t(`search.kind.${hit.kind}`)}
        </div>
      )}
      <div className={cx(styles.row)} data-active={active}>
        <Sign hit={hit} />
        <span className={styles.words}>
          <span>
            <Highlight text={hit.label} matches={hit.matches} />
          </span>
          {hit.note !== "" && <small>{hit.note}</small>}
        </span>
        {hit.keys && <Kbd keys={hit.keys} />}
      </div>
    </>
  );
}

function Sign({ hit }: { readonly hit: Hit }) {
  if (hit.artifact) {
    return (
      <span className={styles.picture}>
        <Thumbnail artifact={hit.artifact} size={128} />
      </span>
    );
  }
  return (
    <span className={styles.icon}>
      {hit.icon && <hit.icon aria-hidden size={15} />}
      {hit.color !== undefined && <Dot color={hit.color} />}
    </span>
  );
}
