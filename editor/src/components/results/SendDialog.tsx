import { useEffect, useId, useState } from "react";
import { getWorkflow, listWorkflows, uploadArtifact } from "@/api/client";
import type { ArtifactEntry } from "@/api/schema";
import { Button, Combobox, Dialog, Field, Spinner } from "@/components/ui";
import { t } from "@/i18n";
import { setInput } from "@/model/edits";
import { targetOf } from "@/model/links";
import { pictureInputs } from "@/model/recipes";
import { readWorkflow, type Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useDocuments } from "@/store/documents";
import { notifyFault } from "@/store/notices";
import { useUi } from "@/store/ui";
import styles from "./SendDialog.module.css";

const MOST = 200;

interface Props {
  readonly artifact: ArtifactEntry;
  readonly onClose: () => void;
}

/** Opens a saved workflow with a result as one of the pictures that it reads. */
export default function SendDialog({ artifact, onClose }: Props) {
  const saved = useSaved();
  const [chosen, setChosen] = useState<string | null>(null);
  const name = chosen ?? saved?.[0]?.name ?? null;
  const opened = useOpened(name);
  const types = useCatalogue((catalogue) => catalogue.types);
  const inputs = opened && types ? pictureInputs(opened.workflow, types) : [];
  const [target, setTarget] = useState<string | null>(null);
  const input = inputs.find((each) => each.target === target) ?? inputs[0];
  const id = useId();
  const send = async () => {
    if (!opened || !input) return;
    try {
      const { value } = await uploadArtifact(artifact.digest);
      open(opened, input.target, value);
      onClose();
    } catch (fault) {
      notifyFault(fault, { title: t("results.failed") });
    }
  };
  const isEmpty = saved?.length === 0;
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
        {saved === null && <Spinner label={t("results.sendLoading")} />}
        {isEmpty && <p>{t("results.sendNone")}</p>}
        {saved !== null && !isEmpty && (
          <>
            <Field id={`${id}-workflow`} label={t("results.sendWorkflow")}>
              <Combobox
                id={`${id}-workflow`}
                value={name ?? ""}
                options={saved.map((item) => ({ value: item.name, label: item.name }))}
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

interface Opened {
  readonly name: string;
  readonly workflow: Workflow;
  readonly etag: string | null;
}

/** In a tab of its own, or the one it is open in: one step to undo. */
function open({ name, workflow, etag }: Opened, input: string, value: string): void {
  const to = targetOf(input);
  if (to === null) return;
  const documents = useDocuments.getState();
  useUi.getState().setView("graph");
  const document = documents.open(workflow, {
    origin: "saved",
    savedName: name,
    savedEtag: etag,
  });
  documents.change("results.edit.send", (w) => setInput(w, null, to.node, to.port, value), {
    document,
  });
}

/** The workflows that are saved and can be read; null while they are asked for. */
function useSaved(): readonly { readonly name: string }[] | null {
  const [items, setItems] = useState<readonly { readonly name: string }[] | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    listWorkflows({ limit: MOST, signal: stop.signal }).then(
      (found) => setItems(found.items.filter((item) => item.problem === null)),
      (fault) => {
        if (stop.signal.aborted) return;
        setItems([]);
        notifyFault(fault);
      },
    );
    return () => stop.abort();
  }, []);
  return items;
}

/** The chosen workflow, once it is read. */
function useOpened(name: string | null): Opened | null {
  const [opened, setOpened] = useState<Opened | null>(null);
  useEffect(() => {
    if (name === null) return;
    const stop = new AbortController();
    getWorkflow(name, { signal: stop.signal }).then(
      ({ text, etag }) => setOpened({ name, workflow: readWorkflow(text), etag }),
      (fault) => {
        if (!stop.signal.aborted) notifyFault(fault);
      },
    );
    return () => stop.abort();
  }, [name]);
  return opened?.name === name ? opened : null;
}
