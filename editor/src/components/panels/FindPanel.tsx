/** Find in the workflow: names, labels, types, values and notes, in blocks too. */
import { ChevronDown, ChevronUp, SearchX } from "lucide-react";
import {
  type KeyboardEvent,
  useDeferredValue,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
} from "react";
import { EmptyState, IconButton, SearchField } from "@/components/ui";
import { t } from "@/i18n";
import { find, type Hit } from "@/model/find";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, useActive, useDocuments } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { Highlight } from "./lib/Highlight";
import panel from "./lib/Panel.module.css";
import { RowList } from "./lib/RowList";
import { TwoLines } from "./lib/TwoLines";

const ROW = 42;

export default function FindPanel() {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(-1);
  const asked = useDeferredValue(query);
  const types = useCatalogue((catalogue) => catalogue.types);
  const workflow = useActive((_document, found) => found);
  const hits = useMemo(() => find(workflow, asked, { types }), [workflow, asked, types]);
  const at = Math.min(active, hits.length - 1);
  useEffect(() => field.current?.focus(), []);
  const goTo = (index: number) => {
    if (hits.length === 0) return;
    const next = (index + hits.length) % hits.length;
    setActive(next);
    const hit = hits[next];
    if (hit) show(hit);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" || event.key === "F3") goTo(event.shiftKey ? at - 1 : at + 1);
    else if (event.key === "ArrowDown") focusFirst(`${id}-hits`);
    else return;
    event.preventDefault();
  };
  return (
    <div className={panel.panel}>
      <div className={panel.bar}>
        <SearchField
          ref={field}
          className={panel.grow}
          value={query}
          onChange={(text) => {
            setQuery(text);
            setActive(-1);
          }}
          onKeyDown={onKeyDown}
          label={t("panels.find.label")}
        />
        <span className={panel.count} role="status">
          {query !== "" && t("panels.find.count", { count: hits.length, at: at + 1 })}
        </span>
        <IconButton
          icon={ChevronUp}
          size="s"
          label={t("panels.find.previous")}
          disabled={hits.length === 0}
          onClick={() => goTo(at - 1)}
        />
        <IconButton
          icon={ChevronDown}
          size="s"
          label={t("panels.find.next")}
          disabled={hits.length === 0}
          onClick={() => goTo(at + 1)}
        />
      </div>
      {query !== "" && hits.length === 0 && (
        <EmptyState icon={SearchX} title={t("panels.find.nothing", { query })} />
      )}
      {query === "" && <p className={panel.advice}>{t("panels.find.hint")}</p>}
      <RowList
        id={`${id}-hits`}
        label={t("panels.find.results")}
        items={hits}
        height={ROW}
        keyOf={(hit) => `${hit.scope}/${hit.item}/${hit.port}/${hit.in}/${hit.match[0]}`}
        active={Math.max(0, at)}
        onActive={setActive}
        onOpen={show}
        opensByClick
      >
        {(hit) => (
          <TwoLines note={placeText(hit)}>
            <Highlight text={hit.text} matches={[hit.match]} />
          </TwoLines>
        )}
      </RowList>
    </div>
  );
}

function placeText(hit: Hit): string {
  const where = hit.port === undefined ? hit.node : `${hit.node}.${hit.port}`;
  const kind = t(`panels.find.in.${hit.in}`);
  return [hit.scope, where, kind].filter((part) => part !== null && part !== "").join(" · ");
}

function show(hit: Hit): void {
  const document = activeDocument();
  const isHere = currentScope(document) === hit.scope;
  const path = isHere ? document.path : hit.scope === null ? [] : [hit.scope];
  if (hit.node !== "") focusNode({ node: hit.node, port: hit.port ?? null, path });
  else {
    const documents = useDocuments.getState();
    if (!isHere) documents.goTo(path);
    documents.select([hit.item]);
  }
}

function focusFirst(list: string): void {
  document.getElementById(list)?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
}
