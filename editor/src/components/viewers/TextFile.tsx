/** The text of a file, as it is. */
import type { ViewProps } from "./props";
import { useFile } from "./useFile";
import styles from "./Viewers.module.css";
import { Waiting } from "./Waiting";

export default function TextFile({ artifact }: ViewProps) {
  const fetched = useFile(artifact, textOf);
  if (fetched.state !== "ready") return <Waiting artifact={artifact} fetched={fetched} />;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys scroll it
    <pre className={styles.text} tabIndex={0}>
      {fetched.value}
    </pre>
  );
}

function textOf(bytes: ArrayBuffer): string {
  return new TextDecoder().decode(bytes);
}
