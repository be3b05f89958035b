import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { HighlightStyle, indentUnit, syntaxHighlighting, syntaxTree } from "@codemirror/language";
import { type Diagnostic, setDiagnostics } from "@codemirror/lint";
import { unifiedMergeView } from "@codemirror/merge";
import { Annotation, Compartment, EditorState, StateEffect, StateField, type Text } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { SourceProblem } from "../stores/generation";
import { quickProblems } from "./quickCheck";

/** A source editor, told what to show and telling what was typed. */
export interface Editor {
  setSource(source: string): void;
  setEditable(editable: boolean): void;
  setProblems(problems: readonly SourceProblem[]): void;
  markLine(line: number): void;
  /** Shows what differs from this source; undefined for nothing. */
  compareWith(original: string | undefined): void;
  destroy(): void;
}

interface EditorHandlers {
  readonly onChange: (source: string) => void;
  readonly onSubmit: () => void;
  /** What can be seen to be wrong without asking the service, a moment after each change. */
  readonly onQuickProblems: (problems: readonly SourceProblem[]) => void;
}

/** Pause in typing after which what was typed is looked at, in milliseconds. */
const QUICK_CHECK_MS = 700;

const highlighting = HighlightStyle.define([
  {
    tag: [tags.keyword, tags.operatorKeyword, tags.controlKeyword, tags.definitionKeyword],
    color: "var(--code-keyword)",
  },
  {
    tag: [tags.function(tags.variableName), tags.function(tags.definition(tags.variableName))],
    color: "var(--code-name)",
  },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: [tags.string, tags.docString], color: "var(--code-string)" },
  { tag: tags.comment, color: "var(--code-comment)", fontStyle: "italic" },
]);

const look = EditorView.theme({
  "&": { fontSize: "0.78rem", background: "transparent", color: "var(--ink)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-content": { padding: "0.5rem 0", caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { background: "transparent", color: "var(--ink-faint)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 0.5rem 0 0.6rem", minWidth: "2rem" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": { background: "var(--live-soft) !important" },
  ".cm-marked": { background: "var(--live-soft)" },
  ".cm-changedLine": { background: "color-mix(in srgb, var(--good) 12%, transparent) !important" },
  ".cm-deletedChunk": { background: "color-mix(in srgb, var(--danger) 10%, transparent) !important" },
  ".cm-changedText": { background: "color-mix(in srgb, var(--good) 28%, transparent) !important" },
  ".cm-deletedChunk .cm-deletedText": { background: "color-mix(in srgb, var(--danger) 26%, transparent) !important" },
  ".cm-collapsedLines": { background: "var(--sunken)", color: "var(--ink-faint)", padding: "0.2rem 0.75rem" },
  ".cm-collapsedLines::before, .cm-collapsedLines::after": { content: "''" },
  ".cm-changeGutter": { width: "3px" },
  ".cm-changedLineGutter": { background: "var(--good)" },
  ".cm-deletedLineGutter": { background: "var(--danger)" },
  ".cm-tooltip": {
    background: "var(--surface)",
    color: "var(--ink)",
    border: "1px solid var(--line)",
    borderRadius: "var(--radius-s)",
    boxShadow: "var(--shadow-high)",
    fontFamily: "var(--sans)",
    maxWidth: "26rem",
  },
});

/** Set on changes that come from outside, which are not reported as typing. */
const fromOutside = Annotation.define<boolean>();
const markEffect = StateEffect.define<number>();

const marked = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(decorations, transaction) {
    for (const effect of transaction.effects) {
      if (!effect.is(markEffect)) continue;
      const { doc } = transaction.state;
      if (effect.value < 1 || effect.value > doc.lines) return Decoration.none;
      return Decoration.set([Decoration.line({ class: "cm-marked" }).range(doc.line(effect.value).from)]);
    }
    return decorations.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** How sources look, wherever they are shown. */
const reading = [lineNumbers(), python(), syntaxHighlighting(highlighting), look, EditorView.lineWrapping];

export function createEditor(parent: HTMLElement, { onChange, onSubmit, onQuickProblems }: EditorHandlers): Editor {
  const editing = new Compartment();
  const comparing = new Compartment();
  let quickCheck: ReturnType<typeof setTimeout> | undefined;
  const access = (editable: boolean) => [EditorState.readOnly.of(!editable), EditorView.editable.of(editable)];
  const submit = () => {
    onSubmit();
    return true;
  };
  const view = new EditorView({
    parent,
    state: EditorState.create({
      extensions: [
        reading,
        history(),
        indentUnit.of("    "),
        marked,
        EditorView.contentAttributes.of({ "aria-label": "Reward source in Python" }),
        keymap.of([
          { key: "Mod-Enter", run: submit },
          { key: "Mod-s", run: submit, preventDefault: true },
          ...defaultKeymap,
          ...historyKeymap,
          indentWithTab,
        ]),
        editing.of(access(false)),
        comparing.of([]),
        EditorView.updateListener.of((update) => {
          const typed = update.docChanged && !update.transactions.some((each) => each.annotation(fromOutside));
          if (!typed) return;
          onChange(update.state.doc.toString());
          clearTimeout(quickCheck);
          quickCheck = setTimeout(
            () => onQuickProblems(quickProblems(syntaxTree(view.state), view.state.doc)),
            QUICK_CHECK_MS,
          );
        }),
      ],
    }),
  });

  return {
    setSource(source) {
      const present = view.state.doc.toString();
      if (source === present) return;
      // Source that is still being written grows at its end; only that part is inserted.
      const appended = present !== "" && source.startsWith(present);
      view.dispatch({
        changes: appended
          ? { from: present.length, insert: source.slice(present.length) }
          : { from: 0, to: present.length, insert: source },
        annotations: fromOutside.of(true),
      });
    },
    setEditable: (editable) => view.dispatch({ effects: editing.reconfigure(access(editable)) }),
    setProblems: (problems) =>
      view.dispatch(
        setDiagnostics(
          view.state,
          problems.flatMap((problem) => diagnosticsOf(view.state.doc, problem)),
        ),
      ),
    markLine: (line) => view.dispatch({ effects: markEffect.of(line) }),
    compareWith(original) {
      const extension =
        original === undefined
          ? []
          : unifiedMergeView({ original, mergeControls: false, syntaxHighlightDeletions: true });
      view.dispatch({ effects: comparing.reconfigure(extension) });
    },
    destroy() {
      clearTimeout(quickCheck);
      view.destroy();
    },
  };
}

/** Two sources as one, to be read: lines that went and lines that came, long stretches that stayed folded away. */
export function createDiff(parent: HTMLElement, before: string, after: string): { destroy(): void } {
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: after,
      extensions: [
        reading,
        EditorState.readOnly.of(true),
        EditorView.editable.of(false),
        EditorView.contentAttributes.of({ "aria-label": "What differs between the two rewards", tabindex: "0" }),
        unifiedMergeView({ original: before, mergeControls: false, collapseUnchanged: { margin: 2, minSize: 5 } }),
      ],
    }),
  });
  return { destroy: () => view.destroy() };
}

/** Underlines the word at the place that is to blame, or the whole line without a column. */
function diagnosticsOf(doc: Text, { line, column, message, severity }: SourceProblem): Diagnostic[] {
  if (line < 1 || line > doc.lines) return [];
  const { from, to, text } = doc.line(line);
  const start = column > 0 ? Math.min(from + column - 1, to) : from + (text.length - text.trimStart().length);
  const word = /^\w+/.exec(doc.sliceString(start, to))?.[0].length ?? 1;
  return [{ from: start, to: column > 0 ? Math.min(start + word, to) : to, message, severity }];
}
