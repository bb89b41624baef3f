import { useId, useMemo, useState } from "react";
import { Button, Combobox, Dialog, Field, type Option, TextArea } from "@/components/ui";
import { t } from "@/i18n";
import { isLink, literalOf } from "@/model/links";
import { defaultOf, type NodeTypes, typeOf } from "@/model/spec";
import { type Widget, widgetOf } from "@/model/widgets";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { run } from "@/store/running";
import styles from "./SweepDialog.module.css";
import { sweepValues } from "./sweepValues";

interface Place extends Option {
  readonly kind: "number" | "text";
  readonly example: string;
}

/** Runs the workflow once for each of some values of one input. */
export default function SweepDialog({ onClose }: { readonly onClose: () => void }) {
  const types = useCatalogue((catalogue) => catalogue.types);
  const workflow = useActive((_, found) => found);
  const places = useMemo(() => (types ? placesOf(workflow, types) : []), [workflow, types]);
  const [chosen, setChosen] = useState<string | null>(null);
  const [text, setText] = useState("");
  const id = useId();
  const place = places.find(({ value }) => value === chosen) ?? places[0];
  const values = place ? sweepValues(text, place.kind) : [];
  const count = values?.length ?? 0;
  const start = () => {
    if (!place || !values) return;
    onClose();
    void run({ sweep: { target: place.value, values } });
  };
  return (
    <Dialog
      title={t("shell.sweep")}
      size="s"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.cancel")}</Button>
          <Button variant="primary" disabled={count === 0} onClick={start}>
            {count === 0 ? t("shell.run") : t("running.runTimes", { count })}
          </Button>
        </>
      }
    >
      <div className={styles.fields}>
        <Field id={`${id}-input`} label={t("shell.sweepInput")}>
          <Combobox
            id={`${id}-input`}
            value={place?.value ?? ""}
            options={places}
            onChange={setChosen}
          />
        </Field>
        <Field
          id={id}
          label={t("shell.sweepValues")}
          help={t(place?.kind === "text" ? "shell.sweepTexts" : "shell.sweepNumbers")}
          error={values === null ? t("shell.sweepFault") : null}
        >
          <TextArea
            id={id}
            value={text}
            rows={4}
            invalid={values === null}
            placeholder={place?.example}
            onChange={setText}
          />
        </Field>
      </div>
    </Dialog>
  );
}

/** The inputs that can be varied: the parameters first, then every other one that isn't linked. */
function placesOf(workflow: Workflow, types: NodeTypes): readonly Place[] {
  const parameters = new Map([...workflow.parameters].map(([name, { input }]) => [input, name]));
  const found = [...workflow.nodes].flatMap(([node, entry]): Place[] =>
    (typeOf(types, workflow, entry)?.inputs ?? []).flatMap((input): Place[] => {
      const given = entry.inputs.get(input.name);
      const kind = kindOf(widgetOf(input));
      if (kind === null || isLink(given)) return [];
      const value = `${node}.${input.name}`;
      const name = parameters.get(value);
      const now = given === undefined ? defaultOf(input) : literalOf(given);
      return [
        {
          value,
          kind,
          label: name ?? value,
          hint: name === undefined ? undefined : value,
          group: t(name === undefined ? "shell.sweepOthers" : "shell.sweepParameters"),
          example: kind === "number" ? "1..4" : String(now ?? ""),
        },
      ];
    }),
  );
  const rank = (place: Place) => (parameters.has(place.value) ? 0 : 1);
  return found.sort((a, b) => rank(a) - rank(b));
}

function kindOf(widget: Widget | null): Place["kind"] | null {
  if (widget?.kind === "number" || widget?.kind === "seed") return "number";
  if (widget?.kind === "text" || widget?.kind === "choice" || widget?.kind === "file")
    return "text";
  return null;
}
