/** Text with the parts that a search found marked. */
import { Fragment } from "react";
import styles from "./Highlight.module.css";

interface Props {
  readonly text: string;
  readonly matches: readonly (readonly [number, number])[];
}

export function Highlight({ text, matches }: Props) {
  if (matches.length === 0) return <>{text}</>;
  let end = 0;
  const parts = matches.map(([from, to]) => {
    const before = text.slice(end, from);
    end = to;
    return (
      <Fragment key={from}>
        {before}
        <mark className={styles.found}>{text.slice(from, to)}</mark>
      </Fragment>
    );
  });
  return (
    <>
      {parts}
      {text.slice(end)}
    </>
  );
}
