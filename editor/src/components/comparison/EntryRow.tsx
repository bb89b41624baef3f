/** One difference in a list: its sign, what and where it is, and its values. */
import type { Digests, Entry, Verb } from "@/model/comparison/entries";
import styles from "./Comparison.module.css";
import { kindText, placeText, SIGNS, sideText, verbText } from "./words";

interface EntryRowProps {
  readonly entry: Entry;
  readonly digests?: Digests | undefined;
}

export function EntryRow({ entry, digests }: EntryRowProps) {
  const { verb, before, after } = entry;
  return (
    <div className={styles.entry} data-quiet={entry.quiet || undefined}>
      <VerbSign verb={verb} />
      <span className={styles.words}>
        <span className={styles.place}>
          <small>{kindText(entry.kind)}</small> {placeText(entry.path)}
        </span>
        <span className={styles.values}>
          {verb !== "added" && <del className={styles.before}>{sideText(before, digests)}</del>}
          {(verb === "changed" || verb === "renamed") && " → "}
          {verb !== "removed" && <ins className={styles.after}>{sideText(after, digests)}</ins>}
        </span>
      </span>
    </div>
  );
}

export function VerbSign({ verb }: { readonly verb: Verb }) {
  return (
    <span className={styles.verb} data-mark={verb} role="img" aria-label={verbText(verb)}>
      {SIGNS[verb]}
    </span>
  );
}
