import { useEffect, useRef } from "react";
import { createDiff } from "./codemirror";

interface SourceDiffProps {
  readonly before: string;
  readonly after: string;
}

/** Two sources as one, with what went and what came; loaded apart from the page because of its size. */
export function SourceDiff({ before, after }: SourceDiffProps) {
  const parent = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!parent.current) return;
    const diff = createDiff(parent.current, before, after);
    return () => diff.destroy();
  }, [before, after]);
  return <div ref={parent} data-testid="source-diff" />;
}
