/** The model of a control or reference layer: chosen where the layer is, or got. */
import { Download } from "lucide-react";
import { useMemo } from "react";
import { Button } from "@/components/ui";
import { t } from "@/i18n";
import {
  lackingModels,
  type ModelPort,
  modelPortOf,
  type PaintCanvas,
  type PaintLayer,
} from "@/model/painting";
import { useCatalogue } from "@/store/catalogue";
import { mayManageModels, useConnection } from "@/store/connection";
import { useActive } from "@/store/documents";
import { useModelOffers } from "@/store/modelOffers";
import { useUi } from "@/store/ui";
import { useCanvasUi } from "../canvasUi";
import { titleOf } from "../layerActions";
import styles from "./LayerDetails.module.css";
import { NodeField } from "./NodeField";

/** What other sites are searched for. */
const SEARCHED: Readonly<Record<string, { readonly text: string; readonly kind?: string }>> = {
  LoadControlNet: { text: "controlnet", kind: "controlnet" },
  LoadIPAdapter: { text: "ip-adapter" },
  LoadRedux: { text: "redux" },
};

export function LayerModel({ layer }: { readonly layer: PaintLayer }) {
  const has = useHas();
  const allowed = useConnection(mayManageModels);
  const types = useCatalogue((catalogue) => catalogue.types);
  const port = useActive((_document, workflow, scope) =>
    types ? portKey(modelPortOf({ workflow, scope, types }, layer)) : null,
  );
  const found = useMemo(() => (port === null ? null : (JSON.parse(port) as ModelPort)), [port]);
  if (found === null) return null;
  return (
    <>
      <NodeField node={found.node} port={found.port} />
      {!has(found) && (
        <div className={styles.lacking} role="alert">
          <span>{t("painting.needsModel", { name: titleOf(layer) })}</span>
          <Button size="s" icon={Download} disabled={!allowed} onClick={() => get(found)}>
            {t("models.get")}
          </Button>
        </div>
      )}
    </>
  );
}

/** Before a run: the layers that it would stop at, and a way to each. */
export function LackingModels({ canvas }: { readonly canvas: PaintCanvas }) {
  const has = useHas();
  const types = useCatalogue((catalogue) => catalogue.types);
  const { workflow, scope } = useActive((_document, shown, at) => ({ workflow: shown, scope: at }));
  const layers = useMemo(
    () => (types ? lackingModels({ workflow, scope, types }, canvas, has) : []),
    [workflow, scope, types, canvas, has],
  );
  return layers.map((layer) => (
    <div key={layer.node} className={styles.lacking} role="alert">
      <span>{t("painting.needsModel", { name: titleOf(layer) })}</span>
      <Button size="s" onClick={() => useCanvasUi.getState().choose(layer.node)}>
        {t("painting.chooseModel")}
      </Button>
    </div>
  ));
}

function useHas(): (port: ModelPort) => boolean {
  const models = useCatalogue((catalogue) => catalogue.models);
  return useMemo(() => {
    const names = new Set((models ?? []).map(({ node, name }) => `${node}/${name}`));
    // Until they are known nothing is said to be missing, but what isn't chosen is.
    return ({ type, model }) => model !== "" && (models === null || names.has(`${type}/${model}`));
  }, [models]);
}

function portKey(port: ModelPort | null): string | null {
  return port && JSON.stringify(port);
}

function get({ type, model }: ModelPort): void {
  const { find, search } = useModelOffers.getState();
  const { text, kind } = SEARCHED[type] ?? { text: "" };
  void find({ ...search, text: model || text, kind: kind ?? null });
  useUi.getState().openDialog("getModels");
}
