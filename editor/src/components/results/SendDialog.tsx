import { useId, useMemo, useState } from "react";
import { api } from "@/api/client";
import { uploadArtifact } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { getWorkflow } from "@/api/workflows";
import { titleOf } from "@/components/shell/DocumentTabs";
import { Button, Combobox, Dialog, Field, Spinner } from "@/components/ui";
import { useAnswer, useTold } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { setInput } from "@/model/edits";
import { targetOf } from "@/model/links";
import { pictureInputs } from "@/model/recipes";
import { readWorkflow, type Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { currentWorkflow, type Document, useDocuments } from "@/store/documents";
import { notifyFault } from "@/store/notices";
import { useUi } from "@/store/ui";
import styles from "./SendDialog.module.css";

const MOST = 200;

interface Props {
  readonly artifact: ArtifactEntry;
  /** What LoadImage is given, where that is there already, as for a frame of a video. */
  readonly value?: string;
  readonly onClose: () => void;
}

/** Opens a workflow, of another tab or a saved one, with a result as one of the pictures it reads. */
export default function SendDialog({ artifact, value: uploaded, onClose }: Props) {
  const places = usePlaces();
  const [chosen, setChosen] = useState<string | null>(null);
  const place = places?.find(({ value }) => value === chosen) ?? places?.[0];
  const opened = useOpened(place);
  const types = useCatalogue((catalogue) => catalogue.types);
  const inputs = opened && types ? pictureInputs(opened.workflow, types) : [];
  const [target, setTarget] = useState<string | null>(null);
  const input = inputs.find((each) => each.target === target) ?? inputs[0];
  const id = useId();
  const send = async () => {
    if (!opened || !input) return;
    try {
      const value = uploaded ?? (await uploadArtifact(artifact.digest)).value;
      open(opened, input.target, value);
      onClose();
    } catch (fault) {
      notifyFault(fault, { title: t("results.failed") });
    }
  };
  const isEmpty = places?.length === 0;
  return (
    <Dialog
      title={t("results.sendTitle")}
      size="s"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.cancel")}</Button>
          <Button variant="primary" disabled={!input} onClick={() => void send()}>
            {t("results.sendDo")}
          </Button>
        </>
      }
    >
      <div className={styles.fields}>
        {places === null && <Spinner label={t("results.sendLoading")} />}
        {isEmpty && <p>{t("results.sendNone")}</p>}
        {places !== null && !isEmpty && (
          <>
            <Field id={`${id}-workflow`} label={t("results.sendWorkflow")}>
              <Combobox
                id={`${id}-workflow`}
                value={place?.value ?? ""}
                options={places}
                onChange={setChosen}
              />
            </Field>
            {opened === null && <Spinner label={t("results.sendLoading")} />}
            {opened !== null && inputs.length === 0 && <p>{t("results.sendNoInput")}</p>}
            {inputs.length > 0 && (
              <Field id={`${id}-input`} label={t("results.sendInput")}>
                <Combobox
                  id={`${id}-input`}
                  value={input?.target ?? ""}
                  options={inputs.map(({ target: value, label }) => ({ value, label }))}
                  onChange={setTarget}
                />
              </Field>
            )}
          </>
        )}
      </div>
    </Dialog>
  );
}

/** A workflow that a picture can be sent to. */
interface SendPlace {
  readonly value: string;
  readonly label: string;
  /** The tab it is open in, or its name on the server. */
  readonly at: { readonly tab: Document } | { readonly saved: string };
}

interface Opened {
  readonly place: SendPlace;
  readonly workflow: Workflow;
  readonly etag: string | null;
}

/** In its tab, or in one of its own: one step to undo. */
function open({ place: { at }, workflow, etag }: Opened, input: string, value: string): void {
  const to = targetOf(input);
  if (to === null) return;
  const documents = useDocuments.getState();
  useUi.getState().setView("graph");
  if ("tab" in at) documents.activate(at.tab.id);
  const document =
    "tab" in at
      ? at.tab.id
      : documents.open(workflow, { origin: "saved", savedName: at.saved, savedEtag: etag });
  documents.change("results.edit.send", (w) => setInput(w, null, to.node, to.port, value), {
    document,
  });
}

/** Other tabs that read pictures, and what is saved besides; null while that is asked for. */
function usePlaces(): readonly SendPlace[] | null {
  const saved = useSaved();
  const types = useCatalogue((catalogue) => catalogue.types);
  const documents = useDocuments((state) => state.documents);
  const active = useDocuments((state) => state.active);
  return useMemo(() => {
    if (saved === null || types === null) return null;
    const tabs = documents.filter((document) => document.id !== active);
    const names = new Set(tabs.map(({ savedName }) => savedName));
    return [
      ...tabs
        .filter((tab) => pictureInputs(currentWorkflow(tab), types).length > 0)
        .map((tab) => ({
          value: `tab/${tab.id}`,
          label: t("results.sendTab", { title: titleOf(tab) }),
          at: { tab },
        })),
      ...saved
        .filter(({ name }) => !names.has(name))
        .map(({ name }) => ({ value: `saved/${name}`, label: name, at: { saved: name } })),
    ];
  }, [saved, types, documents, active]);
}

/** The workflows that are saved and can be read; null while they are asked for. */
function useSaved(): readonly { readonly name: string }[] | null {
  const { data, fault } = useAnswer({
    queryKey: ["workflows", MOST],
    queryFn: ({ signal }) => api.GET("/workflows", { params: { query: { limit: MOST } }, signal }),
  });
  useTold(fault);
  return useMemo(
    () => data?.items.filter((item) => item.problem === null) ?? (fault ? [] : null),
    [data, fault],
  );
}

/** The chosen workflow, once it is read. */
function useOpened(place: SendPlace | undefined): Opened | null {
  const saved = place !== undefined && "saved" in place.at ? place.at.saved : null;
  const { data, fault } = useAnswer({
    queryKey: ["workflow", saved],
    queryFn: () => getWorkflow(saved ?? ""),
    enabled: saved !== null,
    // What it is now is saved over.
    gcTime: 0,
  });
  useTold(fault);
  const read = useMemo(() => (data === undefined ? null : readWorkflow(data.text)), [data]);
  if (place === undefined) return null;
  if ("tab" in place.at) return { place, workflow: currentWorkflow(place.at.tab), etag: null };
  return read && { place, workflow: read, etag: data?.etag ?? null };
}
