/** Blocks of a docstring on the page. */
import { Fragment } from "react";
import type { Block, Span } from "./docstring";
import styles from "./Help.module.css";

export function Prose({ blocks }: { readonly blocks: readonly Block[] }) {
  if (blocks.length === 0) return null;
  return <div className={styles.prose}>{blocks.map((block, index) => part(block, index))}</div>;
}

function part(block: Block, key: number) {
  switch (block.kind) {
    case "paragraph":
      return (
        <p key={key}>
          <Spans spans={block.spans} />
        </p>
      );
    case "code":
      return <pre key={key}>{block.text}</pre>;
    case "list":
      return (
        <ul key={key}>
          {block.items.map((item) => (
            <li key={item.map((span) => span.text).join("")}>
              <Spans spans={item} />
            </li>
          ))}
        </ul>
      );
    case "terms":
      return (
        <section key={key}>
          <h4>{block.title}</h4>
          <dl>
            {block.terms.map((term) => (
              <Fragment key={term.name + term.spans.map((span) => span.text).join("")}>
                {term.name && <dt>{term.name}</dt>}
                <dd>
                  <Spans spans={term.spans} />
                </dd>
              </Fragment>
            ))}
          </dl>
        </section>
      );
  }
}

export function Spans({ spans }: { readonly spans: readonly Span[] }) {
  let at = 0;
  return spans.map((span) => {
    const key = at;
    at += span.text.length;
    if (span.kind === "code") return <code key={key}>{span.text}</code>;
    if (span.kind === "link") {
      return (
        <a key={key} href={span.text} target="_blank" rel="noreferrer noopener">
          {span.text}
        </a>
      );
    }
    return <Fragment key={key}>{span.text}</Fragment>;
  });
}
