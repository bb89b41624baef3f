/** Where models come from: a catalogue to start with, a search of other sites, or an address. */
import { ArrowLeft, ArrowRight, CircleAlert, Search } from "lucide-react";
import { type FormEvent, useEffect, useId, useState } from "react";
import { api } from "@/api/client";
import type { ModelDownloadEntry, OfferedModelEntry, StarterModelEntry } from "@/api/schema";
import {
  Badge,
  Button,
  EmptyState,
  IconButton,
  SearchField,
  Select,
  Spinner,
} from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { hasText, t } from "@/i18n";
import { bytes, numeral } from "@/i18n/format";
import { familyName, offerKind } from "@/model/models";
import { isAdmin, mayManageModels, useConnection } from "@/store/connection";
import { useDownloads } from "@/store/downloads";
import { offersOf, useModelOffers } from "@/store/modelOffers";
import { faultText } from "@/store/notices";
import { DownloadRow } from "./DownloadRow";
import { Folders } from "./Folders";
import styles from "./Get.module.css";
import { GetButton } from "./GetButton";
import { Gated, License } from "./License";
import { PlanCard } from "./PlanCard";

export function GetModels() {
  const allowed = useConnection(mayManageModels);
  const admin = useConnection(isAdmin);
  const plan = useModelOffers((state) => state.plan);
  const hasSearched = useModelOffers(({ search }) => offersOf(search).enabled);
  return (
    <div className={styles.get}>
      {allowed ? <SearchForm /> : <p className={styles.unallowed}>{t("models.unallowedGet")}</p>}
      <div className={styles.scroll}>
        {plan !== null && <PlanCard plan={plan} />}
        <DownloadList allowed={allowed} isWhole={hasSearched} />
        {admin && !hasSearched && <Folders />}
        {hasSearched ? <Hits /> : <Starters />}
      </div>
    </div>
  );
}

const ANY = "any";
const KINDS = ["checkpoint", "lora", "embedding", "vae", "controlnet", "upscaler"] as const;
const SOURCES = [
  { value: "huggingface", label: "Hugging Face" },
  { value: "civitai", label: "Civitai" },
];

function SearchForm() {
  const search = useModelOffers((state) => state.search);
  const [text, setText] = useState(search.text);
  // Something else may have asked.
  useEffect(() => setText(search.text), [search.text]);
  const { find } = useModelOffers.getState();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void find({ ...search, text });
  };
  const filter = (change: { kind?: string; source?: string }) => {
    const entries = Object.entries(change).map(([key, value]) => [
      key,
      value === ANY ? null : value,
    ]);
    void find({ ...search, text, ...Object.fromEntries(entries) });
  };
  return (
    <search>
      <form className={styles.search} onSubmit={submit}>
        <div className={styles.searchLine}>
          <SearchField
            className={styles.grow}
            value={text}
            onChange={(next) => {
              setText(next);
              // Emptied, it leads back to the catalogue.
              if (next === "") void find({ ...search, text: "" });
            }}
            label={t("models.searchSites")}
          />
          <IconButton type="submit" icon={ArrowRight} label={t("models.searchNow")} />
        </div>
        <div className={styles.searchLine}>
          <Select
            label={t("models.filter.kind")}
            value={search.kind ?? ANY}
            onChange={(kind) => filter({ kind })}
            options={[
              { value: ANY, label: t("models.filter.allKinds") },
              ...KINDS.map((value) => ({ value, label: t(`models.offer.${value}`) })),
            ]}
          />
          <Select
            label={t("models.site")}
            value={search.source ?? ANY}
            onChange={(source) => filter({ source })}
            options={[{ value: ANY, label: t("models.bothSites") }, ...SOURCES]}
          />
        </div>
      </form>
    </search>
  );
}

interface DownloadListProps {
  readonly allowed: boolean;
  /** Otherwise those of the catalog are left out, as their own cards show them. */
  readonly isWhole: boolean;
}

function DownloadList({ allowed, isWhole }: DownloadListProps) {
  const items = useDownloads((state) => state.items);
  const starters = useStarters().data?.items ?? [];
  const id = useId();
  const isOnCard = ({ source }: ModelDownloadEntry) =>
    !isWhole && starters.some((each) => each.source === source);
  const shown = items.filter((each) => each.state !== "finished" && !isOnCard(each));
  if (shown.length === 0) return null;
  return (
    <section aria-labelledby={id} className={styles.section}>
      <h3 id={id}>{t("models.downloads")}</h3>
      <ul className={styles.list}>
        {shown.map((download) => (
          <li key={download.id} className={styles.card}>
            <DownloadRow download={download} allowed={allowed} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Which of them are installed changes with the models. */
function useStarters() {
  return useAnswer({
    queryKey: ["models", "starter"],
    queryFn: ({ signal }) => api.GET("/models/starter", { signal }),
  });
}

function Starters() {
  const { data, fault, refetch } = useStarters();
  if (fault !== null) {
    return (
      <EmptyState icon={CircleAlert} title={faultText(fault)}>
        <Button size="s" onClick={() => void refetch()}>
          {t("models.again")}
        </Button>
      </EmptyState>
    );
  }
  if (data === undefined)
    return (
      <div className={styles.waiting}>
        <Spinner label={t("models.loading")} />
      </div>
    );
  const starters = data.items;
  const purposes = [...new Set(starters.map(({ purpose }) => purpose))];
  return (
    <>
      {purposes.map((purpose) => (
        <Purpose
          key={purpose}
          purpose={purpose}
          starters={starters.filter((each) => each.purpose === purpose)}
        />
      ))}
    </>
  );
}

interface PurposeProps {
  readonly purpose: string;
  readonly starters: readonly StarterModelEntry[];
}

function Purpose({ purpose, starters }: PurposeProps) {
  const id = useId();
  return (
    <section aria-labelledby={id} className={styles.section}>
      <h3 id={id}>{purposeName(purpose)}</h3>
      <ul className={styles.list}>
        {starters.map((starter) => (
          <li key={starter.id} className={styles.card}>
            <StarterCard starter={starter} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A catalogue that people have put in place of ours may have purposes of its own. */
function purposeName(purpose: string): string {
  const key = `models.purpose.${purpose}`;
  return hasText(key) ? t(key) : purpose;
}

function StarterCard({ starter }: { readonly starter: StarterModelEntry }) {
  const { id, title, description, family, license, license_url: page, memory } = starter;
  return (
    <>
      <div className={styles.cardHead}>
        <strong>{title}</strong>
        {starter.is_gated && <Gated />}
        {family !== null && <Badge>{familyName(family)}</Badge>}
      </div>
      <p className={styles.description}>{description}</p>
      <p className={styles.meta}>
        {starter.bytes !== null && <span>{bytes(starter.bytes)}</span>}
        {memory !== null && (
          <span className={starter.fits ? undefined : styles.tight}>
            {t(starter.fits ? "models.memory" : "models.tooLarge", { amount: bytes(memory) })}
          </span>
        )}
        <License license={license} page={page} />
      </p>
      <GetButton
        id={`starter:${id}`}
        title={title}
        installed={starter.installed}
        request={{ source: starter.source, variant: starter.variant, kind: starter.kind }}
      />
    </>
  );
}

function Hits() {
  const search = useModelOffers((state) => state.search);
  const { data, fault } = useAnswer(offersOf(search));
  const hits = data?.items;
  const { find } = useModelOffers.getState();
  const back = () => void find({ ...search, text: "" });
  return (
    <section aria-label={t("models.found")} className={styles.section}>
      <div className={styles.foundHead}>
        <Button size="s" variant="ghost" icon={ArrowLeft} onClick={back}>
          {t("models.toStarters")}
        </Button>
        {hits !== undefined && (
          <span className={styles.count} role="status">
            {t("models.hits", { count: hits.length })}
          </span>
        )}
      </div>
      {hits === undefined && fault === null && (
        <div className={styles.waiting}>
          <Spinner label={t("models.searching")} />
        </div>
      )}
      {fault !== null && (
        <p className={styles.error} role="alert">
          {faultText(fault)}
        </p>
      )}
      {hits?.length === 0 && (
        <EmptyState icon={Search} title={t("models.noHits")}>
          {t("models.noHitsHint")}
        </EmptyState>
      )}
      <ul className={styles.list}>
        {hits?.map((hit) => (
          <li key={`${hit.source}:${hit.reference}`} className={styles.card}>
            <HitCard hit={hit} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function HitCard({ hit }: { readonly hit: OfferedModelEntry }) {
  const { title, reference, base_model: base, page, license } = hit;
  const kind = hit.kind || null;
  const request = { source: reference, kind };
  const site = hit.source === "civitai" ? "Civitai" : "Hugging Face";
  return (
    <>
      <div className={styles.cardHead}>
        {/^https?:/.test(page) ? (
          <a href={page} target="_blank" rel="noopener noreferrer">
            <strong>{title}</strong>
          </a>
        ) : (
          <strong>{title}</strong>
        )}
        {hit.is_gated && <Gated />}
      </div>
      <p className={styles.meta}>
        <span>{site}</span>
        {kind !== null && <span>{t(`models.kind.${offerKind(kind)}`)}</span>}
        {base !== null && <span>{base}</span>}
        {hit.bytes !== null && <span>{bytes(hit.bytes)}</span>}
        <span>{license ?? t("models.licenseUnknown")}</span>
        <span>
          {t("models.downloadCount", { count: hit.downloads, number: numeral(hit.downloads) })}
        </span>
      </p>
      {hit.trigger_words.length > 0 && (
        <p className={styles.description}>{hit.trigger_words.join(", ")}</p>
      )}
      <GetButton
        id={`offer:${reference}`}
        title={title}
        installed={null}
        request={request}
        onGet={() => void useModelOffers.getState().look(request)}
      />
    </>
  );
}
