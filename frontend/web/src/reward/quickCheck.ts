import type { syntaxTree } from "@codemirror/language";
import type { Text } from "@codemirror/state";
import type { SourceProblem } from "../stores/generation";

/** Statements that the reward language refuses whatever is in them, as the checker of the service says it. */
const REFUSED: Readonly<Record<string, string>> = {
  ImportStatement:
    "import-forbidden: imports are not part of the language; remove it: jnp, jax.nn and `state` are there already",
  WhileStatement: "while-forbidden: a while loop has no bound; loop over a tuple or range(n)",
  LambdaExpression: "lambda-forbidden: lambda is not part of the language; define a function at the top level",
  ClassDefinition: "class-forbidden: classes are not part of the language; use functions and dicts",
  TryStatement: "try-forbidden: exceptions are not part of the language; use jnp.where or jnp.clip",
  RaiseStatement: "raise-forbidden: exceptions are not part of the language; remove it",
  AssertStatement: "assert-forbidden: assertions are not part of the language; remove it",
  WithStatement: "with-forbidden: with is not part of the language; remove it",
  DeleteStatement: "del-forbidden: del is not part of the language; remove it",
};

/**
 * What can be seen to be wrong without asking the service: what is no Python, what the language never takes, and a missing `reward`. Who passes
 * has not passed the service's check, which traces the source too.
 */
export function quickProblems(tree: ReturnType<typeof syntaxTree>, doc: Text): SourceProblem[] {
  const problems: SourceProblem[] = [];
  let defined = false;
  tree.iterate({
    enter(node) {
      if (node.name === "FunctionDefinition" && node.node.parent?.name === "Script") {
        const name = node.node.getChild("VariableName");
        if (name && doc.sliceString(name.from, name.to) === "reward") defined = true;
      }
      const message = node.type.isError ? "Python cannot read this." : REFUSED[node.name];
      if (message === undefined) return true;
      const line = doc.lineAt(node.from);
      const known = problems.some((problem) => problem.line === line.number);
      if (!known) problems.push({ line: line.number, column: node.from - line.from + 1, message, severity: "error" });
      return false;
    },
  });
  if (!defined && problems.length === 0) {
    const message =
      "missing-reward: there is no function `reward(state, action)`; write one that returns its terms by name";
    problems.push({ line: 0, column: 0, message, severity: "error" });
  }
  return problems;
}
