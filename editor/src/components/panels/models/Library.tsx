/** The models that are there: searched, filtered, sorted, and put into the graph by a click. */
import { Download, ListFilter, Package, X } from "lucide-react";
import { useId, useMemo, useState } from "react";
import type { ModelEntry } from "@/api/schema";
import { putModel } from "@/commands/models";
import { useIsSmall } from "@/components/shell/useMedia";
import { Button, EmptyState, IconButton, SearchField, Select } from "@/components/ui";
import { t } from "@/i18n";
import {
  facetsOf,
  familyName,
  isFiltered,
  libraryOf,
  type ModelFilter,
  type ModelKind,
  type ModelSort,
  NO_FILTER,
  SORTS,
} from "@/model/models";
import { mayManageModels, useConnection } from "@/store/connection";
import { useModels } from "@/store/models";
import { useUi } from "@/store/ui";
import panel from "../lib/Panel.module.css";
import { askToRemove } from "./actions";
import styles from "./Library.module.css";
import { ModelGrid } from "./ModelGrid";

const ALL = "all";

export function Library({ models }: { readonly models: readonly ModelEntry[] }) {
  const filter = useModels((state) => state.filter);
  const sort = useModels((state) => state.sort);
  const allowed = useConnection(mayManageModels);
  const small = useIsSmall();
  const [open, setOpen] = useState(() => isFiltered({ ...filter, text: "" }));
  const id = useId();
  const { setFilter, setSort, show, showTab } = useModels.getState();
  const shown = useMemo(() => libraryOf(models, filter, sort), [models, filter, sort]);
  const isBare = models.every(({ kind }) => kind === "embedded");
  const put = useMemo(
    () => (model: ModelEntry) => {
      putModel(model);
      // There the panel lies over the graph.
      if (small) useUi.getState().hidePanel("left");
    },
    [small],
  );
  const showDetail = useMemo(() => (model: ModelEntry) => show(model.name), [show]);
  return (
    <div className={panel.panel}>
      <div className={panel.bar}>
        <div className={panel.grow}>
          <SearchField
            value={filter.text}
            onChange={(text) => setFilter({ text })}
            label={t("models.search")}
          />
        </div>
        <IconButton
          icon={ListFilter}
          size="s"
          label={t("models.filters")}
          pressed={open}
          aria-expanded={open}
          aria-controls={id}
          onClick={() => setOpen(!open)}
        />
        {open && <Filters id={id} models={models} filter={filter} onChange={setFilter} />}
        <div className={styles.line}>
          <span className={panel.count} role="status">
            {isFiltered(filter)
              ? t("models.countOf", { count: shown.length, all: models.length })
              : t("models.count", { count: models.length })}
          </span>
          {isFiltered(filter) && (
            <IconButton
              icon={X}
              size="s"
              label={t("models.clearFilters")}
              onClick={() => setFilter(NO_FILTER)}
            />
          )}
          <Select
            className={styles.sort}
            label={t("models.sort")}
            value={sort}
            onChange={(value) => setSort(value as ModelSort)}
            options={SORTS.map((value) => ({ value, label: t(`models.sort.${value}`) }))}
          />
        </div>
      </div>
      {shown.length === 0 ? (
        <EmptyState icon={Package} title={t("models.nothing")}>
          {t("models.nothingHint")}
        </EmptyState>
      ) : (
        <ModelGrid
          models={shown}
          onPut={put}
          onShow={showDetail}
          onRemove={allowed ? askToRemove : null}
        />
      )}
      {isBare ? (
        <div className={styles.bare}>
          <p>{t("models.bare")}</p>
          <Button variant="primary" icon={Download} onClick={() => showTab("get")}>
            {t("models.get")}
          </Button>
        </div>
      ) : (
        <p className={panel.hint}>{t("models.hint")}</p>
      )}
    </div>
  );
}

interface FiltersProps {
  readonly id: string;
  readonly models: readonly ModelEntry[];
  readonly filter: ModelFilter;
  readonly onChange: (change: Partial<ModelFilter>) => void;
}

function Filters({ id, models, filter, onChange }: FiltersProps) {
  const facets = useMemo(() => facetsOf(models), [models]);
  const all = (label: string) => ({ value: ALL, label });
  const chosen = (value: string) => (value === ALL ? null : value);
  return (
    <div id={id} className={styles.filters}>
      <Select
        label={t("models.filter.kind")}
        value={filter.kind ?? ALL}
        onChange={(value) => onChange({ kind: chosen(value) as ModelKind | null })}
        options={[
          all(t("models.filter.allKinds")),
          ...facets.kinds.map((value) => ({ value, label: t(`models.kind.${value}`) })),
        ]}
      />
      <Select
        label={t("models.filter.family")}
        value={filter.family ?? ALL}
        onChange={(value) => onChange({ family: chosen(value) })}
        options={[
          all(t("models.filter.allFamilies")),
          ...facets.families.map((value) => ({ value, label: familyName(value) })),
        ]}
      />
      <Select
        label={t("models.filter.tag")}
        value={filter.tag ?? ALL}
        onChange={(value) => onChange({ tag: chosen(value) })}
        options={[
          all(t("models.filter.allTags")),
          ...facets.tags.map((value) => ({ value, label: value })),
        ]}
      />
      <Select
        label={t("models.filter.stars")}
        value={String(filter.stars)}
        onChange={(value) => onChange({ stars: Number(value) })}
        options={[0, 1, 2, 3, 4, 5].map((count) => ({
          value: String(count),
          label: count === 0 ? t("models.filter.anyStars") : "★".repeat(count),
        }))}
      />
      <Select
        label={t("models.filter.only")}
        value={filter.only ?? ALL}
        onChange={(value) => onChange({ only: chosen(value) as ModelFilter["only"] })}
        options={[
          all(t("models.filter.any")),
          { value: "unused", label: t("models.filter.unused") },
          { value: "duplicates", label: t("models.filter.duplicates") },
        ]}
      />
    </div>
  );
}
