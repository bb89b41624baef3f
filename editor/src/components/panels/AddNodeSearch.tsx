/** The search that adds a node: by name, category or purpose, fitting the link that was dropped. */
import { CornerDownLeft, Search, X } from "lucide-react";
import { type KeyboardEvent, useId, useMemo, useState } from "react";
import { canvas } from "@/components/canvas/controller";
import { focusNew } from "@/components/canvas/focus";
import { Kbd, Popover } from "@/components/ui";
import { t } from "@/i18n";
import { colorOf } from "@/model/compat";
import { portsFor } from "@/model/search";
import { categoryOf, type NodeSpec, type NodeTypes } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { favouriteTypes, toggleFavourite, useFavourites } from "@/store/favourites";
import { type AddNodeRequest, type LooseEnd, useUi } from "@/store/ui";
import styles from "./AddNodeSearch.module.css";
import { type Hit, replacementsOf, resultsOf } from "./addnode/results";
import { NodeSummary } from "./help/NodeSummary";
import { Highlight } from "./lib/Highlight";
import { insertNode, replaceNode, usedEnd } from "./lib/insert";
import { Dot, NodePreview } from "./lib/NodePreview";
import { movedBy, RowList, rowId } from "./lib/RowList";
import { recentTypes } from "./lib/recents";
import { isStarKey, STAR_KEY, Star } from "./lib/Star";

const ROW = 40;
const HEADING = 26;
const PAGE = 8;

export default function AddNodeSearch() {
  const request = useUi((ui) => ui.addNode);
  const types = useCatalogue((catalogue) => catalogue.types);
  if (request === null || types === null) return null;
  const { x, y } = request.screen;
  return <AddNode key={`${x},${y},${request.fits?.from.node}`} request={request} types={types} />;
}

interface AddNodeProps {
  readonly request: AddNodeRequest;
  readonly types: NodeTypes;
}

function AddNode({ request, types }: AddNodeProps) {
  const close = useUi((ui) => ui.closeAddNode);
  const workflow = useActive((_document, found) => found);
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const [loose, setLoose] = useState<LooseEnd | null>(request.fits ?? null);
  const [port, setPort] = useState(0);
  const [recent] = useState(recentTypes);
  const favourites = useFavourites((state) => state.types);
  const id = useId();
  const from = useMemo(() => (loose ? usedEnd(types, loose) : undefined), [types, loose]);
  const { replaces } = request;
  const isNew = replaces === undefined;
  const hits = useMemo(
    () =>
      replaces === undefined
        ? resultsOf(types, workflow, query, { loose, from, favourites, recent })
        : replacementsOf(types, workflow, query, replaces),
    [types, workflow, query, loose, from, favourites, recent, replaces],
  );
  const hit = hits[Math.min(active, hits.length - 1)] ?? null;
  const ports = hit === null || loose === null ? [] : portsFor(types, hit.spec, loose, from);
  const chosen = ports[Math.min(port, ports.length - 1)] ?? null;
  const activate = (index: number) => {
    setActive(index);
    setPort(0);
  };
  const add = (spec: NodeSpec) => {
    if (request.replaces !== undefined) {
      replaceNode(request.replaces, spec, types);
      close();
      canvas()?.focusNode(request.replaces);
      return;
    }
    const fitting = loose === null ? [] : portsFor(types, spec, loose, from);
    const target = spec === hit?.spec ? chosen : (fitting[0] ?? null);
    const name = insertNode(spec, request.at, loose && target ? { loose, port: target } : null);
    close();
    focusNew(name);
  };
  const star = (spec: NodeSpec) => {
    toggleFavourite(spec.type);
    // The row that the keys mean stays that one, wherever it goes.
    const next = resultsOf(types, workflow, query, {
      loose,
      from,
      favourites: favouriteTypes(),
      recent,
    });
    setActive(next.findIndex((other) => other.spec === (hit?.spec ?? spec)));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const to = movedBy(event.key, active, hits.length, PAGE);
    const moves = to !== null && !(isLineKey(event.key) && query !== "");
    if (moves) activate(to);
    else if (event.key === "Enter" && hit !== null) add(hit.spec);
    else if (isStarKey(event) && hit !== null) star(hit.spec);
    else if (event.key === "Tab" && ports.length > 1) {
      setPort((port + (event.shiftKey ? ports.length - 1 : 1)) % ports.length);
    } else if (event.key === "Backspace" && query === "" && loose !== null) setLoose(null);
    else return;
    event.preventDefault();
  };
  const height = (index: number) => ROW + (hits[index]?.heading ? HEADING : 0);
  return (
    <Popover
      anchor={request.screen}
      onClose={close}
      label={t(isNew ? "panels.add.title" : "panels.add.replaceTitle", { node: replaces })}
    >
      <div className={styles.frame}>
        <div className={styles.head}>
          <Search aria-hidden size={16} />
          {loose && <FitChip types={types} loose={loose} onRemove={() => setLoose(null)} />}
          <input
            data-autofocus
            className={styles.input}
            type="text"
            role="combobox"
            aria-expanded
            aria-controls={`${id}-list`}
            aria-activedescendant={hit ? rowId(`${id}-list`, hits.indexOf(hit)) : undefined}
            aria-label={t("panels.add.label")}
            aria-describedby={`${id}-count`}
            placeholder={t(placeholderFor(loose !== null, isNew), { node: replaces })}
            autoComplete="off"
            spellCheck={false}
            value={query}
            onChange={(event) => {
              setQuery(event.target.value);
              activate(0);
            }}
            onKeyDown={onKeyDown}
          />
        </div>
        <div className={styles.body}>
          <div className={styles.results}>
            {hits.length === 0 && (
              <p className={styles.nothing}>
                {t(loose ? "panels.add.nothingFits" : "panels.add.nothing", {
                  query,
                  type: loose?.type,
                })}
                {types.unread.size > 0 && ` ${t("shell.readingPacks")}`}
              </p>
            )}
            <RowList
              id={`${id}-list`}
              label={t("panels.add.results")}
              items={hits}
              height={height}
              keyOf={(item) => item.spec.type}
              aria={headingAbove}
              active={Math.min(active, hits.length - 1)}
              onActive={activate}
              onOpen={(item) => add(item.spec)}
              opensByClick
              focus="field"
            >
              {(item, row) => (
                <HitRow
                  types={types}
                  hit={item}
                  active={row.active}
                  onStar={() => star(item.spec)}
                />
              )}
            </RowList>
          </div>
          {hit && (
            // biome-ignore lint/a11y/noNoninteractiveTabindex: so that it can be scrolled by keyboard
            <section className={styles.help} aria-label={t("panels.palette.help")} tabIndex={0}>
              <NodePreview
                types={types}
                spec={hit.spec}
                fitting={ports}
                chosen={chosen}
                {...(loose ? { side: loose.side === "output" ? "input" : "output" } : {})}
              />
              <NodeSummary types={types} spec={hit.spec} />
            </section>
          )}
        </div>
        <div className={styles.foot}>
          <span id={`${id}-count`} role="status">
            {t("panels.add.count", { count: hits.length })}
          </span>
          {ports.length > 1 && (
            <span>
              <Kbd keys="Tab" /> {t("panels.add.otherPort")}
            </span>
          )}
          <span>
            <Kbd keys={STAR_KEY} /> {t("panels.favourite.key")}
          </span>
          <span>
            <CornerDownLeft aria-hidden size={12} />{" "}
            {t(isNew ? "panels.add.enter" : "panels.add.enterReplace")}
          </span>
        </div>
      </div>
    </Popover>
  );
}

/** A heading says what its rows are; it is no part of the first one's name. */
function headingAbove({ heading }: Hit): Record<string, string> {
  return heading === null ? {} : { "aria-description": t(`panels.add.heading.${heading}`) };
}

function placeholderFor(isFitting: boolean, isNew: boolean): string {
  if (!isNew) return "panels.add.placeholderReplace";
  return isFitting ? "panels.add.placeholderFits" : "panels.add.placeholder";
}

/** Home and End move the caret while there is text. */
function isLineKey(key: string): boolean {
  return key === "Home" || key === "End";
}

interface ChipProps {
  readonly types: NodeTypes;
  readonly loose: LooseEnd;
  readonly onRemove: () => void;
}

function FitChip({ types, loose, onRemove }: ChipProps) {
  const key = loose.side === "output" ? "panels.add.takes" : "panels.add.gives";
  return (
    <span className={styles.chip}>
      <Dot color={colorOf(types, loose.type)} />
      {t(key, { type: loose.type })}
      <button type="button" aria-label={t("panels.add.showAll")} onClick={onRemove}>
        <X aria-hidden size={12} />
      </button>
    </span>
  );
}

interface HitProps {
  readonly types: NodeTypes;
  readonly hit: Hit;
  readonly active: boolean;
  readonly onStar: () => void;
}

function HitRow({ types, hit, active, onStar }: HitProps) {
  const { spec, matches, heading } = hit;
  const output = spec.outputs[0]?.type ?? spec.inputs[0]?.type;
  return (
    <>
      {heading && (
        <div aria-hidden className={styles.heading}>
          {t(`panels.add.heading.${heading}`)}
        </div>
      )}
      <div className={styles.hit} data-active={active || undefined}>
        <Dot color={output === undefined ? "var(--border-strong)" : colorOf(types, output)} />
        <span className={styles.name}>
          <span>
            <Highlight text={spec.label || spec.type} matches={matches} />
          </span>
          <small>{spec.summary}</small>
        </span>
        <span className={styles.category}>{categoryOf(spec)}</span>
        <Star spec={spec} onToggle={onStar} />
      </div>
    </>
  );
}
