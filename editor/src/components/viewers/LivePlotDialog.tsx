/** The plot of a node that runs, in full, as it grows; it stays when the run has ended. */
import { Suspense, useState } from "react";
import { Dialog } from "@/components/ui";
import { type RunPlace, useNodeRun } from "@/hooks/useNodeRun";
import { LivePlot } from "./live";
import styles from "./Viewers.module.css";

interface Props {
  readonly place: RunPlace;
  readonly node: string;
  readonly title: string;
  readonly onClose: () => void;
}

export default function LivePlotDialog({ place, node, title, onClose }: Props) {
  const { run } = useNodeRun(place, node);
  const [last, setLast] = useState<unknown>(null);
  const plot = run?.plot ?? last;
  if (plot !== last) setLast(plot);
  return (
    <Dialog title={title} size="full" padded={false} onClose={onClose}>
      <div className={styles.viewer}>
        <Suspense fallback={null}>
          {plot !== null && <LivePlot given={plot} name={title} />}
        </Suspense>
      </div>
    </Dialog>
  );
}
