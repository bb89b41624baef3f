import { Dialog } from "@/components/ui";
import { t } from "@/i18n";
import { useConnection } from "@/store/connection";
import styles from "./AboutDialog.module.css";
import { Logo } from "./Logo";
import { LIBRARIES } from "./libraries";

export default function AboutDialog({ onClose }: { readonly onClose: () => void }) {
  const version = useConnection((connection) => connection.version);
  return (
    <Dialog title={t("shell.about")} size="s" onClose={onClose}>
      <div className={styles.about}>
        <Logo size={52} />
        <p className={styles.name}>nodegraph</p>
        {version && <p className={styles.text}>{t("shell.version", { version })}</p>}
        <p className={styles.text}>{t("shell.aboutText")}</p>
        <h3 id="built-with" className={styles.heading}>
          {t("shell.builtWith")}
        </h3>
        <ul aria-labelledby="built-with" className={styles.libraries}>
          {LIBRARIES.map(({ name, licence }) => (
            <li key={name}>
              <span>{name}</span> <small>({licence})</small>
            </li>
          ))}
        </ul>
      </div>
    </Dialog>
  );
}
