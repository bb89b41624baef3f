import { AppForm } from "./AppForm";
import styles from "./AppMode.module.css";
import { AppResults } from "./AppResults";

/** Just the named parameters and the outputs of the active document, as a form. */
export default function AppMode() {
  return (
    <div className={styles.app}>
      <AppForm />
      <AppResults />
    </div>
  );
}
