/** The models that a workflow lacks: where each comes from, and a button that gets them all. */
import { Download, Replace, Search } from "lucide-react";
import { useEffect, useRef } from "react";
import type { MissingModelEntry } from "@/api/schema";
import { DownloadRow } from "@/components/panels/models/DownloadRow";
import { Gated, License } from "@/components/panels/models/License";
import { Button, Spinner } from "@/components/ui";
import { t } from "@/i18n";
import { bytes, problemText } from "@/i18n/format";
import { setInput } from "@/model/edits";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { mayManageModels, useConnection } from "@/store/connection";
import { useDocuments } from "@/store/documents";
import { downloadFor, useDownloads } from "@/store/downloads";
import {
  askForMissing,
  getAllMissing,
  getMissing,
  isGettable,
  missingKey,
  useMissingModels,
} from "@/store/missingModels";
import { useModelOffers } from "@/store/modelOffers";
import { useModels } from "@/store/models";
import { useUi } from "@/store/ui";
import styles from "./MissingDialog.module.css";
import type { MissingModel, NodePlace } from "./missing";
import { ModelHelp, PlaceButton, Section } from "./Section";

interface Props {
  readonly workflow: Workflow;
  readonly models: readonly MissingModel[];
  readonly onFocus: (node: string) => void;
}

export function MissingModels({ workflow, models, onFocus }: Props) {
  const folders = useCatalogue((catalogue) => catalogue.modelFolders);
  const allowed = useConnection(mayManageModels);
  const sources = useMissingModels((state) => state.sources);
  const isAsking = useMissingModels((state) => state.isAsking);
  const problem = useMissingModels((state) => state.problem);
  useAsked(workflow, models, allowed);
  const entries = models.flatMap(({ model }) => sources?.get(model) ?? []);
  return (
    <Section
      icon={Download}
      title={t("files.missingModels")}
      help={<ModelHelp folders={folders} />}
      head={
        allowed && (
          <>
            {isAsking && (
              <p className={styles.asking}>
                <Spinner size={14} label={t("models.asking")} /> {t("models.asking")}
              </p>
            )}
            {problem !== null && (
              <p className={styles.bad} role="alert">
                {problem}
              </p>
            )}
            <GetAll entries={entries.filter(isGettable)} />
          </>
        )
      }
    >
      {models.map(({ model, places }) => (
        <Row
          key={model}
          model={model}
          places={places}
          entry={sources?.get(model) ?? null}
          allowed={allowed}
          onFocus={onFocus}
        />
      ))}
    </Section>
  );
}

/** Asks once for the names that lack, whatever else is edited. */
function useAsked(workflow: Workflow, models: readonly MissingModel[], allowed: boolean): void {
  const asked = useRef<ReadonlySet<string>>(new Set());
  useEffect(() => {
    const names = models.map(({ model }) => model);
    if (!allowed || names.every((name) => asked.current.has(name))) return;
    asked.current = new Set(names);
    void askForMissing(workflow);
  }, [workflow, models, allowed]);
}

function GetAll({ entries }: { readonly entries: readonly MissingModelEntry[] }) {
  const asked = useDownloads((state) => state.asked);
  const items = useDownloads((state) => state.items);
  const left = entries.filter(
    ({ name, source }) => downloadFor({ asked, items }, missingKey(name), source) === null,
  );
  const isStarting = useDownloads(({ starting }) =>
    entries.some(({ name }) => starting.has(missingKey(name))),
  );
  if (left.length < 1) return null;
  const isSized = left.every((entry) => entry.bytes !== null);
  const size = left.reduce((sum, entry) => sum + (entry.bytes ?? 0), 0);
  const licenses = [...new Set(left.map(({ license }) => license ?? t("models.licenseUnknown")))];
  return (
    <div className={styles.all}>
      <Button
        variant="primary"
        icon={Download}
        busy={isStarting}
        onClick={() => void getAllMissing(left)}
      >
        {isSized
          ? t("models.getAllSized", { count: left.length, size: bytes(size) })
          : t("models.getAll", { count: left.length })}
      </Button>
      <span className={styles.faint}>{t("models.licenses", { names: licenses.join(", ") })}</span>
    </div>
  );
}

interface RowProps {
  readonly model: string;
  readonly places: readonly NodePlace[];
  readonly entry: MissingModelEntry | null;
  readonly allowed: boolean;
  readonly onFocus: (node: string) => void;
}

function Row({ model, places, entry, allowed, onFocus }: RowProps) {
  const key = missingKey(model);
  const download = useDownloads((state) => downloadFor(state, key, entry?.source ?? null));
  const refused = useDownloads((state) => state.refused.get(key));
  const isStarting = useDownloads((state) => state.starting.has(key));
  const there = entry?.installed_as ?? null;
  const canGet = allowed && entry !== null && isGettable(entry) && download === null;
  return (
    <li className={styles.row}>
      <span>
        <strong>{model}</strong>
        {entry !== null && entry.source !== null && there === null && <Facts entry={entry} />}
        {there !== null && (
          <span className={styles.faint}>{t("models.thereAs", { name: there })}</span>
        )}
        {entry?.problem && (
          <span className={styles.bad}>{problemText({ message: entry.problem })}</span>
        )}
        {!canGet && there === null && download === null && <Known />}
        {refused !== undefined && (
          <span className={styles.bad} role="alert">
            {refused}
          </span>
        )}
      </span>
      {there !== null && (
        <Button size="s" icon={Replace} onClick={() => replaceAll(model, there, places)}>
          {t("models.useThat")}
        </Button>
      )}
      {canGet && (
        <Button
          size="s"
          icon={Download}
          busy={isStarting}
          aria-label={t("models.getNamed", { name: model })}
          onClick={() => void getMissing(entry)}
        >
          {t("models.getIt")}
        </Button>
      )}
      {allowed && !canGet && there === null && download === null && (
        <Button size="s" icon={Search} onClick={() => searchFor(model)}>
          {t("models.searchIt")}
        </Button>
      )}
      {!allowed && there === null && download === null && (
        <a
          href={`https://huggingface.co/models?search=${encodeURIComponent(lastPart(model))}`}
          target="_blank"
          rel="noopener noreferrer"
        >
          {t("files.searchModel")}
        </a>
      )}
      <PlaceButton places={places} onFocus={onFocus} />
      {download !== null && (
        <div className={styles.progress}>
          <DownloadRow download={download} allowed={allowed} bare />
        </div>
      )}
    </li>
  );
}

const MOST_KNOWN = 6;

/** What is there instead, for whoever would rather choose another. */
function Known() {
  const models = useCatalogue((catalogue) => catalogue.models) ?? [];
  if (models.length === 0) return null;
  const names = models.map(({ name }) => name).slice(0, MOST_KNOWN);
  return (
    <span className={styles.faint}>{t("files.modelsThere", { names: names.join(", ") })}</span>
  );
}

function Facts({ entry }: { readonly entry: MissingModelEntry }) {
  return (
    <span className={styles.faint}>
      {entry.source}
      {" · "}
      {entry.bytes === null ? t("models.sizeUnknown") : bytes(entry.bytes)}
      {" · "}
      <License license={entry.license} page={entry.license_url} /> {entry.is_gated && <Gated />}
    </span>
  );
}

/** Name another model wherever one is named, as one step to undo. */
function replaceAll(model: string, by: string, places: readonly NodePlace[]): void {
  useDocuments.getState().change(
    t("models.replaced", { name: by }),
    (workflow) =>
      places.reduce((found, { scope, node }) => {
        const nodes = scope === null ? found.nodes : found.subgraphs.get(scope)?.nodes;
        const ports = [...(nodes?.get(node)?.inputs ?? [])].filter(([, value]) => value === model);
        return ports.reduce((w, [port]) => setInput(w, scope, node, port, by), found);
      }, workflow),
    { named: true },
  );
}

/** Look for it in the panel where models are got. */
function searchFor(model: string): void {
  const { closeDialog, showPanel } = useUi.getState();
  closeDialog();
  useModels.getState().showTab("get");
  showPanel("left", "models");
  const { find, search } = useModelOffers.getState();
  void find({ ...search, text: lastPart(model) });
}

/** The name without folders and ending, as people search for it. */
function lastPart(model: string): string {
  return (model.split(/[\\/]/).at(-1) ?? model).replace(/\.(safetensors|ckpt)$/i, "");
}
