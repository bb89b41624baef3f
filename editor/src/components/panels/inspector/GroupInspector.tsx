/** The title and colour of a group, and the text and colour of a note. */
import { Trash2 } from "lucide-react";
import { useId } from "react";
import { Button, Field, TextArea, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { removeGroup, removeNote, updateGroup, updateNote } from "@/model/edits";
import { layoutOf } from "@/model/layout";
import { useActive } from "@/store/documents";
import { edit } from "./change";
import styles from "./Inspector.module.css";
import { Swatches } from "./Swatches";

export function GroupInspector({ id }: { readonly id: string }) {
  const field = useId();
  const group = useActive((_document, workflow, scope) =>
    layoutOf(workflow, scope).groups.find((item) => item.id === id),
  );
  if (group === undefined) return null;
  const update = (changes: { title?: string; color?: string }) =>
    edit("panels.edit.group", (w, scope) => updateGroup(w, scope, id, changes), {
      merge: `group:${id}`,
    });
  return (
    <div className={styles.panel}>
      <h2 className={styles.kind}>{t("panels.inspector.group")}</h2>
      <Field label={t("panels.inspector.title")} id={field}>
        <TextField id={field} value={group.title} onChange={(title) => update({ title })} />
      </Field>
      <Swatches
        label={t("panels.inspector.colorOf")}
        value={group.color}
        onChange={(color) => update({ color })}
      />
      <Button
        size="s"
        icon={Trash2}
        onClick={() => edit("panels.edit.removeGroup", (w, scope) => removeGroup(w, scope, id))}
      >
        {t("panels.inspector.removeGroup")}
      </Button>
    </div>
  );
}

export function NoteInspector({ id }: { readonly id: string }) {
  const field = useId();
  const note = useActive((_document, workflow, scope) =>
    layoutOf(workflow, scope).notes.find((item) => item.id === id),
  );
  if (note === undefined) return null;
  const update = (changes: { text?: string; color?: string }) =>
    edit("panels.edit.note", (w, scope) => updateNote(w, scope, id, changes), {
      merge: `note:${id}`,
    });
  return (
    <div className={styles.panel}>
      <h2 className={styles.kind}>{t("panels.inspector.canvasNote")}</h2>
      <Field label={t("panels.inspector.text")} id={field}>
        <TextArea
          id={field}
          value={note.text}
          rows={6}
          autoGrow
          onChange={(text) => update({ text })}
        />
      </Field>
      <Swatches
        label={t("panels.inspector.colorOf")}
        value={note.color}
        onChange={(color) => update({ color })}
      />
      <Button
        size="s"
        icon={Trash2}
        onClick={() => edit("panels.edit.removeNote", (w, scope) => removeNote(w, scope, id))}
      >
        {t("panels.inspector.removeNote")}
      </Button>
    </div>
  );
}
