/** The text that a node gave last, in its card. */
import { useEffect, useState } from "react";
import { getArtifactText } from "@/api/files";
import styles from "./CardResults.module.css";

/** Letters that are shown; the viewer's download has all. */
const MOST = 2000;

interface Props {
  readonly digest: string;
  /** Shown until it is there, or if it can't be had. */
  readonly name: string;
}

export function CardText({ digest, name }: Props) {
  const [text, setText] = useState<string | null>(null);
  useEffect(() => {
    const asking = new AbortController();
    setText(null);
    getArtifactText(digest, { signal: asking.signal })
      .then(setText)
      .catch(() => undefined);
    return () => asking.abort();
  }, [digest]);
  if (text === null) return <span className={styles.file}>{name}</span>;
  return <pre className={styles.words}>{text.slice(0, MOST)}</pre>;
}
