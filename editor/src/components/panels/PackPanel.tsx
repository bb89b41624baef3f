/** Panels that packs bring, one at a time, in a frame that looks at the graph and changes nothing. */
import { Puzzle } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { thumbnailAddress } from "@/api/files";
import { PackFrame } from "@/components/frames/PackFrame";
import { Button, EmptyState, Select } from "@/components/ui";
import { t } from "@/i18n";
import type { FrameContext } from "@/model/frames";
import { nodeNames } from "@/model/items";
import { toPlain } from "@/model/json";
import type { PackFrame as Brought } from "@/model/packFrames";
import { nodesOf } from "@/model/scope";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import styles from "./PackPanel.module.css";
import { useResults } from "./ResultPanel";

export default function PackPanel() {
  const panels = useCatalogue((state) => state.packPanels);
  const [chosen, setChosen] = useState("");
  const panel = panels.find((each) => idOf(each) === chosen) ?? panels[0];
  if (panel === undefined) {
    return <EmptyState icon={Puzzle} title={t("panels.packs.none")} />;
  }
  const options = panels.map((each) => ({ value: idOf(each), label: each.label }));
  return (
    <div className={styles.panel}>
      {panels.length > 1 && (
        <div className={styles.head}>
          <Select
            label={t("panels.packs.choose")}
            value={idOf(panel)}
            options={options}
            onChange={setChosen}
          />
        </div>
      )}
      <Framed key={panel.href} panel={panel} />
    </div>
  );
}

function idOf({ pack, name }: Brought): string {
  return `${pack}/${name}`;
}

function Framed({ panel }: { readonly panel: Brought }) {
  const context = useContext();
  const [fault, setFault] = useState<string | null>(null);
  const [ended, setEnded] = useState<string | null>(null);
  const [tries, setTries] = useState(0);
  const again = () => {
    setEnded(null);
    setFault(null);
    setTries(tries + 1);
  };
  if (ended !== null) {
    return (
      <EmptyState icon={Puzzle} title={ended}>
        <Button size="s" onClick={again}>
          {t("widgets.pack.again")}
        </Button>
      </EmptyState>
    );
  }
  return (
    <>
      {fault !== null && (
        <p className={styles.fault} role="status">
          {t("panels.packs.fault", { name: panel.label, message: fault })}
        </p>
      )}
      <div className={styles.frame}>
        <PackFrame
          key={tries}
          type="panel"
          href={panel.href}
          label={panel.label}
          context={context}
          height={null}
          onFault={setFault}
          onEnd={(why, message) =>
            setEnded(t(`panels.packs.${why}`, { name: panel.label, message }))
          }
        />
      </div>
    </>
  );
}

/** What a panel may know: the selected node, and the newest picture. */
function useContext(): FrameContext {
  const selected = useActive((document) => nodeNames(document.selection)[0] ?? null);
  const entry = useActive((_, workflow, scope) =>
    selected === null ? undefined : nodesOf(workflow, scope).get(selected),
  );
  const pictures = useResults().filter(({ artifact }) => artifact.thumbnail !== null);
  const found = pictures.findLast(({ artifact }) => artifact.node === selected) ?? pictures.at(-1);
  const address = found ? thumbnailAddress(found.artifact, 512) : null;
  const picture = usePicture(address);
  const madeBy = picture === null ? "" : (found?.artifact.node ?? "");
  return useMemo(() => {
    const inputs = Object.fromEntries(
      [...(entry?.inputs ?? [])].map(([port, value]) => [port, toPlain(value)]),
    );
    const node = selected === null || !entry ? null : { name: selected, type: entry.type, inputs };
    return { node, picture, made_by: madeBy };
  }, [selected, entry, picture, madeBy]);
}

/** The bytes of a picture, as a frame can load none; null until they are there. */
function usePicture(address: string | null): Blob | null {
  const [read, setRead] = useState<{ address: string; blob: Blob } | null>(null);
  useEffect(() => {
    if (address === null) return;
    let isWanted = true;
    fetch(address)
      .then((answer) => (answer.ok ? answer.blob() : null))
      // A picture that is gone is none.
      .catch(() => null)
      .then((blob) => isWanted && blob && setRead({ address, blob }));
    return () => {
      isWanted = false;
    };
  }, [address]);
  return read !== null && read.address === address ? read.blob : null;
}
