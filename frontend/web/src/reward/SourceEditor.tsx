import { useEffect, useRef } from "react";
import type { SourceProblem } from "../stores/generation";
import { createEditor, type Editor } from "./codemirror";

interface SourceEditorProps {
  readonly source: string;
  readonly editable: boolean;
  readonly problems: readonly SourceProblem[];
  /** Line to mark, from 1; 0 for none. */
  readonly markedLine: number;
  /** Source to show differences from; undefined for none. */
  readonly original: string | undefined;
  readonly onChange: (source: string) => void;
  readonly onSubmit: () => void;
  readonly onQuickProblems: (problems: readonly SourceProblem[]) => void;
}

/** A Python editor; loaded apart from the page because of its size. */
export function SourceEditor(props: SourceEditorProps) {
  const { source, editable, problems, markedLine, original, onChange, onSubmit, onQuickProblems } = props;
  const parent = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor>(undefined);
  const handlers = useRef({ onChange, onSubmit, onQuickProblems });
  handlers.current = { onChange, onSubmit, onQuickProblems };

  useEffect(() => {
    if (!parent.current) return;
    const created = createEditor(parent.current, {
      onChange: (text) => handlers.current.onChange(text),
      onSubmit: () => handlers.current.onSubmit(),
      onQuickProblems: (found) => handlers.current.onQuickProblems(found),
    });
    editor.current = created;
    return () => created.destroy();
  }, []);

  useEffect(() => editor.current?.setSource(source), [source]);
  useEffect(() => editor.current?.setEditable(editable), [editable]);
  useEffect(() => editor.current?.compareWith(original), [original]);
  useEffect(() => editor.current?.setProblems(problems), [problems]);
  useEffect(() => editor.current?.markLine(markedLine), [markedLine]);

  return <div ref={parent} />;
}
