/** Presets of a node's values: choose one, keep the values that stand there, or delete one. */
import { Save, Trash2 } from "lucide-react";
import { getWorkflow } from "@/api/workflows";
import { Button, Dialog, IconButton, Spinner } from "@/components/ui";
import { useAnswer, useTold } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { nodePreset, withPreset } from "@/model/edits";
import { nodeOf } from "@/model/scope";
import { labelOf, typeOf } from "@/model/spec";
import { readWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, currentWorkflow } from "@/store/documents";
import { notifyFault } from "@/store/notices";
import { deletePreset, presetNames, savePresetOf } from "@/store/presets";
import { edit } from "./inspector/change";
import styles from "./NodePresetsDialog.module.css";

interface Props {
  /** Of the graph that is shown. */
  readonly node: string;
  readonly onClose: () => void;
}

export default function NodePresetsDialog({ node, onClose }: Props) {
  const spec = specOf(node);
  const kind = `Preset of ${spec?.type}.`;
  const { data, fault, refetch } = useAnswer({
    queryKey: ["presets", kind],
    queryFn: () => presetNames(kind),
  });
  useTold(fault);
  const names = fault === null ? data : [];
  if (spec === null) return null;
  const save = async () => {
    const document = activeDocument();
    const preset = nodePreset(currentWorkflow(document), currentScope(document), node, spec);
    if (preset !== null && (await savePresetOf(kind, preset))) await refetch();
  };
  const apply = async (name: string) => {
    try {
      const preset = readWorkflow((await getWorkflow(name)).text);
      edit("panels.edit.preset", (workflow, scope) =>
        withPreset(workflow, scope, node, preset, spec),
      );
      onClose();
    } catch (fault) {
      notifyFault(fault, { title: t("generate.notPreset", { name }) });
    }
  };
  const remove = async (name: string) => {
    await deletePreset(name);
    await refetch();
  };
  return (
    <Dialog
      title={t("panels.presets.title", { type: labelOf(spec) })}
      size="s"
      onClose={onClose}
      footer={
        <Button icon={Save} variant="primary" onClick={() => void save()}>
          {t("generate.savePreset")}
        </Button>
      }
    >
      {names === undefined && <Spinner label={t("files.loading")} />}
      {names?.length === 0 && <p className={styles.none}>{t("panels.presets.none")}</p>}
      <ul className={styles.rows}>
        {names?.map((name) => (
          <li key={name}>
            <button type="button" className={styles.name} onClick={() => void apply(name)}>
              {name}
            </button>
            <IconButton
              icon={Trash2}
              size="s"
              label={t("generate.deletePreset", { name })}
              onClick={() => void remove(name)}
            />
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function specOf(node: string) {
  const { types } = useCatalogue.getState();
  const document = activeDocument();
  const workflow = currentWorkflow(document);
  const entry = nodeOf(workflow, currentScope(document), node);
  return entry && types ? typeOf(types, workflow, entry) : null;
}
