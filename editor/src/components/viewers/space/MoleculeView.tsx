/** A molecule: its drawing as the server made it, or in space, and what it is called. */
import { useState } from "react";
import { thumbnailAddress } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { EmptyState, Tabs } from "@/components/ui";
import { t } from "@/i18n";
import { chargeOf, type DrawnMolecule, formulaOf, readMolfile } from "@/model/molfile";
import { suffixOf } from "../kinds";
import type { ViewProps } from "../props";
import { type Fetched, useFile } from "../useFile";
import { Waiting } from "../Waiting";
import { MoleculeSpace } from "./MoleculeSpace";
import styles from "./MoleculeView.module.css";

interface Told {
  /** Null where the file isn't one that is read here. */
  readonly molecule: DrawnMolecule | null;
  readonly name: string;
  readonly smiles: string;
}

export default function MoleculeView({ artifact }: ViewProps) {
  const suffix = suffixOf(artifact.name);
  const fetched = useFile(
    artifact,
    suffix === "sdf" || suffix === "mol" ? ofMolfile : suffix === "pdb" ? ofPdb : ofSmiles,
  );
  if (fetched.state !== "ready") return <Waiting artifact={artifact} fetched={fetched} />;
  return <Seen artifact={artifact} told={fetched.value} fetched={fetched} />;
}

function ofMolfile(bytes: ArrayBuffer): Told {
  const molecule = readMolfile(new TextDecoder().decode(bytes));
  const smiles = molecule?.data.get("smiles") ?? "";
  return { molecule, name: molecule?.name ?? "", smiles };
}

function ofPdb(bytes: ArrayBuffer): Told {
  const title = /^(?:COMPND|TITLE) +(.*)$/m.exec(new TextDecoder().decode(bytes));
  return { molecule: null, name: title?.[1]?.trim() ?? "", smiles: "" };
}

/** A line is a SMILES text and a name. */
function ofSmiles(bytes: ArrayBuffer): Told {
  const [line = ""] = new TextDecoder().decode(bytes).split("\n");
  const [smiles = "", ...name] = line.trim().split(/\s+/);
  return { molecule: null, name: name.join(" "), smiles };
}

interface SeenProps {
  readonly artifact: ArtifactEntry;
  readonly told: Told;
  readonly fetched: Fetched<Told>;
}

function Seen({ artifact, told }: SeenProps) {
  const { molecule } = told;
  const drawing = thumbnailAddress(artifact, 512);
  const isSpatial = molecule?.isSpatial === true;
  const [view, setView] = useState(drawing === null && isSpatial ? "space" : "drawing");
  const seen =
    view === "space" && molecule !== null ? (
      <MoleculeSpace name={told.name || artifact.name} molecule={molecule} />
    ) : (
      <Drawing artifact={artifact} told={told} address={drawing} />
    );
  return (
    <div className={styles.molecule}>
      {isSpatial ? (
        <Tabs
          className={styles.tabs}
          label={t("viewers.molecule.views")}
          active={view}
          onChange={setView}
          tabs={[
            { id: "drawing", label: t("viewers.molecule.drawing") },
            { id: "space", label: t("viewers.molecule.space") },
          ]}
        >
          {seen}
        </Tabs>
      ) : (
        seen
      )}
      <Facts told={told} />
    </div>
  );
}

interface DrawingProps {
  readonly artifact: ArtifactEntry;
  readonly told: Told;
  readonly address: string | null;
}

function Drawing({ artifact, told, address }: DrawingProps) {
  const [isBroken, setBroken] = useState(false);
  const name = told.name || artifact.name;
  return (
    <div className={styles.drawing}>
      {address === null || isBroken ? (
        <EmptyState title={t("viewers.molecule.noDrawing")} />
      ) : (
        <img
          className={styles.picture}
          src={address}
          alt={t("viewers.molecule.drawingOf", { name })}
          onError={() => setBroken(true)}
        />
      )}
    </div>
  );
}

function Facts({ told: { molecule, name, smiles } }: { readonly told: Told }) {
  const charge = molecule === null ? 0 : chargeOf(molecule);
  return (
    <dl className={styles.facts} aria-label={t("viewers.molecule.about")}>
      {name && <Fact name={t("viewers.molecule.name")}>{name}</Fact>}
      {molecule && (
        <Fact name={t("viewers.molecule.formula")}>
          {formulaOf(molecule).map(([element, count]) => (
            <span key={element}>
              {element}
              {count > 1 && <sub>{count}</sub>}
            </span>
          ))}
        </Fact>
      )}
      {charge !== 0 && <Fact name={t("viewers.molecule.charge")}>{signed(charge)}</Fact>}
      {smiles && (
        <Fact name={t("viewers.molecule.smiles")}>
          <code className={styles.smiles}>{smiles}</code>
        </Fact>
      )}
      {molecule && (
        <>
          <Fact name={t("viewers.molecule.atoms")}>{molecule.atoms.length}</Fact>
          <Fact name={t("viewers.molecule.bonds")}>{molecule.bonds.length}</Fact>
        </>
      )}
    </dl>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function signed(charge: number): string {
  return charge > 0 ? `+${charge}` : `−${-charge}`;
}
