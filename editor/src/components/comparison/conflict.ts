/** A document and the version that somebody else saved meanwhile: merged as the person chooses. */
import { api } from "@/api/client";
import { getWorkflow } from "@/api/workflows";
import { t } from "@/i18n";
import { emptyWorkflow, readWorkflow, type Workflow } from "@/model/workflow";
import { currentWorkflow, documentById, useDocuments } from "@/store/documents";
import { useUi } from "@/store/ui";

/**
 * Ask for the merge of a document with the newest saved version, and make it the document's state.
 *
 * Gives the tag of the version that it contains, or null if it was called off.
 */
export async function mergeWithSaved(id: string, name: string): Promise<string | null> {
  const document = documentById(id);
  if (!document) return null;
  const saved = await getWorkflow(name);
  const base = await baseOf(id, name);
  const sides = {
    base: base ?? emptyWorkflow(),
    ours: currentWorkflow(document),
    theirs: readWorkflow(saved.text),
  };
  const merged = await new Promise<Workflow | null>((answer) =>
    useUi.getState().openDialog("merge", { name, sides, answer }),
  );
  if (merged === null) return null;
  const { change } = useDocuments.getState();
  change("comparison.mergedStep", () => merged, { document: id, named: true });
  return saved.etag;
}

/** The saved version that the document began with; else the state that was saved from here. */
async function baseOf(id: string, name: string): Promise<Workflow | null> {
  const document = documentById(id);
  const digest = document?.savedEtag?.replace(/^W\//, "").replaceAll('"', "");
  if (digest !== undefined) {
    const params = { path: { name } };
    const { items } = await api.GET("/workflows/{name}/versions", { params });
    const version = items.find((each) => each.digest === digest)?.version;
    if (version !== undefined) return readWorkflow((await getWorkflow(name, version)).text);
  }
  const entry = document?.history.saved;
  return entry == null ? null : (document?.history.entries.get(entry)?.value ?? null);
}

/** Show how the document differs from the newest saved version. */
export async function compareWithSaved(id: string, name: string): Promise<void> {
  const document = documentById(id);
  if (!document) return;
  const workflow = currentWorkflow(document);
  const theirs = readWorkflow((await getWorkflow(name)).text);
  await new Promise<void>((closed) => {
    const group = t("comparison.groups.versions");
    useUi.getState().openDialog("compare", {
      choices: [
        { key: "theirs", label: name, group, load: async () => theirs },
        { key: "ours", label: t("comparison.now"), group, load: async () => workflow },
      ],
      first: "theirs",
      second: "ours",
    });
    const stop = useUi.subscribe(({ dialog }) => {
      if (dialog?.name === "compare") return;
      stop();
      closed();
    });
  });
}
