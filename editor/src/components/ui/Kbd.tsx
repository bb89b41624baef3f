import { keyCaps } from "@/commands/keys";
import styles from "./Kbd.module.css";

/** A chord as the caps of a keyboard. */
export function Kbd({ keys }: { readonly keys: string }) {
  return (
    <kbd className={styles.chord}>
      {keyCaps(keys).map((cap) => (
        <span key={cap} className={styles.cap}>
          {cap}
        </span>
      ))}
    </kbd>
  );
}
