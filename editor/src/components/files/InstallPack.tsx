/** A button that installs the pack which brings what lacks, or turns it on, for those who may. */
import { PackagePlus, Power } from "lucide-react";
import { useEffect } from "react";
import { Button } from "@/components/ui";
import { t } from "@/i18n";
import { isAdmin, useConnection } from "@/store/connection";
import { runningChange, stepOf, turnedOff, usePacks } from "@/store/packs";

interface Props {
  /** Names of packs, of which the first that an index offers is installed. */
  readonly names?: readonly string[];
  readonly types?: readonly string[];
  readonly tabIndex?: number;
}

const NONE: readonly string[] = [];

export function InstallPack({ names = NONE, types = NONE, tabIndex = 0 }: Props) {
  const admin = useConnection(isAdmin);
  const wanted = [...names, ...types].join("\n");
  useEffect(() => {
    if (!admin || wanted === "") return;
    void usePacks.getState().provide(names, types);
  }, [admin, wanted, names, types]);
  const off = usePacks((packs) => turnedOff(packs, [...names, ...types])?.name ?? null);
  if (!admin) return null;
  if (off !== null) return <TurnOn name={off} tabIndex={tabIndex} />;
  return <Install names={names} types={types} tabIndex={tabIndex} />;
}

interface TurnOnProps {
  readonly name: string;
  readonly tabIndex: number;
}

function TurnOn({ name, tabIndex }: TurnOnProps) {
  const isRunning = usePacks((packs) => runningChange(packs, name) !== null);
  return (
    <Button
      size="s"
      variant="primary"
      icon={Power}
      busy={isRunning}
      tabIndex={tabIndex}
      onClick={(event) => {
        event.stopPropagation();
        void usePacks.getState().act(name, "enable");
      }}
    >
      {t("packs.turnOn", { name })}
    </Button>
  );
}

function Install({ names, types, tabIndex }: Required<Props>) {
  const offer = usePacks(({ providers }) => {
    const found = [...names, ...types].map((each) => providers.get(each) ?? null);
    return found.find((each) => each !== null) ?? null;
  });
  const running = usePacks((packs) => (offer ? runningChange(packs, offer.name) : null));
  const stopped = usePacks(({ change }) =>
    offer !== null && change?.name === offer.name && change.state === "stopped" ? change : null,
  );
  const failed = usePacks(({ change }) =>
    offer !== null && change?.name === offer.name && change.state === "failed" ? change : null,
  );
  if (offer === null) return null;
  const install = () => void usePacks.getState().install(offer.name, stopped !== null);
  return (
    <>
      <Button
        size="s"
        variant="primary"
        icon={PackagePlus}
        busy={running !== null}
        tabIndex={tabIndex}
        title={stopped?.costs.join("\n") ?? failed?.error ?? offer.summary}
        onClick={(event) => {
          event.stopPropagation();
          install();
        }}
      >
        {running === null
          ? t(stopped === null ? "packs.installNamed" : "packs.installAnyway", { name: offer.name })
          : stepOf(running)}
      </Button>
      {failed?.error && <span role="alert">{failed.error}</span>}
    </>
  );
}
