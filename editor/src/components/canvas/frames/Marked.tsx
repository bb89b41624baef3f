/** A text with markup, as it is read. */
import { Fragment } from "react";
import type { Block, Span } from "@/model/markdown";
import styles from "./Marked.module.css";

export function Marked({ blocks }: { readonly blocks: readonly Block[] }) {
  return <div className={styles.marked}>{numbered(blocks.map(partOf))}</div>;
}

function partOf(block: Block) {
  switch (block.kind) {
    case "heading": {
      const Heading = HEADINGS[block.level - 1] ?? "h5";
      return <Heading>{line(block.spans)}</Heading>;
    }
    case "code":
      return <pre>{block.text}</pre>;
    case "list": {
      const List = block.numbered ? "ol" : "ul";
      return <List>{numbered(block.items.map((item) => <li>{line(item)}</li>))}</List>;
    }
    case "paragraph":
      return (
        <p>
          {numbered(
            block.lines.map((spans, index) => (
              <>
                {index > 0 && <br />}
                {line(spans)}
              </>
            )),
          )}
        </p>
      );
  }
}

// The page has its own headings above these.
const HEADINGS = ["h3", "h4", "h5"] as const;

function line(spans: readonly Span[]) {
  return numbered(spans.map(wordsOf));
}

function wordsOf(span: Span) {
  switch (span.kind) {
    case "bold":
      return <strong>{span.text}</strong>;
    case "italic":
      return <em>{span.text}</em>;
    case "code":
      return <code>{span.text}</code>;
    case "link":
      return (
        <a className="nodrag" href={span.to} target="_blank" rel="noreferrer noopener">
          {span.text}
        </a>
      );
    case "text":
      return span.text;
  }
}

/** Parts of a text are known by their place only. */
function numbered(parts: readonly React.ReactNode[]) {
  return parts.map((part, index) => <Fragment key={`${index}`}>{part}</Fragment>);
}
