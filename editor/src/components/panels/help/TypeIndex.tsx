/** All node types by name, to look up what one does. */
import { useId, useMemo, useState } from "react";
import { SearchField } from "@/components/ui";
import { t } from "@/i18n";
import { searchTypes } from "@/model/search";
import type { NodeTypes } from "@/model/spec";
import { useActive } from "@/store/documents";
import { Highlight } from "../lib/Highlight";
import panel from "../lib/Panel.module.css";
import { RowList } from "../lib/RowList";
import { TwoLines } from "../lib/TwoLines";

interface Props {
  readonly types: NodeTypes;
  readonly onChoose: (type: string) => void;
}

export function TypeIndex({ types, onChoose }: Props) {
  const workflow = useActive((_document, found) => found);
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const id = useId();
  const hits = useMemo(() => searchTypes(types, workflow, query, {}), [types, workflow, query]);
  return (
    <div className={panel.panel}>
      <div className={panel.bar}>
        <div className={panel.grow}>
          <SearchField
            value={query}
            onChange={(text) => {
              setQuery(text);
              setActive(0);
            }}
            label={t("panels.help.search")}
          />
        </div>
      </div>
      <p className={panel.advice}>{t("panels.help.selectHint")}</p>
      <RowList
        id={`${id}-types`}
        label={t("panels.help.all")}
        items={hits}
        height={44}
        keyOf={(hit) => hit.spec.type}
        active={Math.min(active, hits.length - 1)}
        onActive={setActive}
        onOpen={(hit) => onChoose(hit.spec.type)}
        opensByClick
      >
        {({ spec, matches }) => (
          <TwoLines note={spec.summary}>
            <Highlight text={spec.label || spec.type} matches={matches} />
          </TwoLines>
        )}
      </RowList>
    </div>
  );
}
