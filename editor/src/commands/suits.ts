/** What suits a model that is chosen: where it is known from, and how it is told. */
import { t } from "@/i18n";
import { valueText } from "@/model/json";
import { type Chosen, modelTitle, type SetValue, type Suits } from "@/model/models";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument } from "@/store/documents";
import { focusNode } from "@/store/focus";
import { notify } from "@/store/notices";

/** What a model of the server is called, by its name. */
export function titleOf(name: string): string {
  const known = useCatalogue.getState().models?.find((model) => model.name === name);
  return modelTitle(known ?? { name, title: null });
}

/** What suits a model of the server, by its name. */
export function suitsOf(name: string): Suits | null {
  return useCatalogue.getState().models?.find((model) => model.name === name)?.suits ?? null;
}

/** Say quietly what was set along with a model that was chosen in a field. */
export function tellChosen(title: string, node: string, { set }: Chosen): void {
  if (set.length > 0) tellPut(t("models.suited", { name: title }), set[0]?.node ?? node, set);
}

/** Say what was done with a model, and what was set along with it. */
export function tellPut(title: string, node: string, set: readonly SetValue[]): void {
  const { id, path } = activeDocument();
  const detail =
    set.length === 0 ? undefined : t("models.setWith", { settings: settingsText(set) });
  notify({
    kind: "info",
    title,
    detail,
    action: {
      label: t("running.show"),
      run: () => focusNode({ node, path, document: id }),
    },
    lasts: 8000,
    key: "models.put",
  });
}

/** "1024 × 1024 · 28 steps · guidance 6", each once. */
export function settingsText(set: readonly Pick<SetValue, "what" | "value">[]): string {
  const by = new Map(set.map(({ what, value }) => [what, textOf(value)]));
  const [width, height] = [by.get("width"), by.get("height")];
  const isWhole = width !== undefined && height !== undefined;
  const parts = [
    isWhole ? `${width} × ${height}` : null,
    isWhole || width === undefined ? null : t("models.set.width", { value: width }),
    isWhole || height === undefined ? null : t("models.set.height", { value: height }),
    ...(["steps", "guidance", "sampler", "schedule"] as const).map((what) => {
      const value = by.get(what);
      return value === undefined ? null : t(`models.set.${what}`, { value });
    }),
  ];
  return parts.filter((part) => part !== null).join(" · ");
}

function textOf(value: number | string): string {
  return typeof value === "string" ? value : valueText(value);
}
