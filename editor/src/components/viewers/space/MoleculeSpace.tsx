/** A molecule as balls and sticks. */
import { useEffect, useState } from "react";
import { Spinner } from "@/components/ui";
import { t } from "@/i18n";
import type { DrawnMolecule } from "@/model/molfile";
import base from "../Viewers.module.css";
import { Unshown } from "../Waiting";
import type { Model } from "./model";
import { SpaceStage } from "./SpaceStage";

interface Props {
  readonly name: string;
  readonly molecule: DrawnMolecule;
}

export function MoleculeSpace({ name, molecule }: Props) {
  const [model, setModel] = useState<Model | null>(null);
  const [isFailed, setFailed] = useState(false);
  useEffect(() => {
    let isOver = false;
    import("./engine")
      .then(({ ballAndStick }) => isOver || setModel(ballAndStick(molecule)))
      .catch(() => isOver || setFailed(true));
    return () => {
      isOver = true;
    };
  }, [molecule]);
  if (model !== null) return <SpaceStage name={name} model={model} />;
  return (
    <div className={base.waiting}>
      {isFailed ? <Unshown /> : <Spinner label={t("viewers.loading")} />}
    </div>
  );
}
