import styles from "./Logo.module.css";

/** One output that feeds two nodes. */
export function Logo({ size = 22 }: { readonly size?: number }) {
  return (
    <svg aria-hidden="true" viewBox="0 0 32 32" width={size} height={size} className={styles.logo}>
      <rect width="32" height="32" rx="8" className={styles.ground} />
      <path d="M9 22.5C15 22.5 12.5 9.5 23 9.5M9 22.5h14" className={styles.links} />
      <circle cx="8.5" cy="22.5" r="3.4" className={styles.node} />
      <circle cx="23.5" cy="9.5" r="3.4" className={styles.node} />
      <circle cx="23.5" cy="22.5" r="3.4" className={styles.last} />
    </svg>
  );
}
