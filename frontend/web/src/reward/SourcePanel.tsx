import { Suspense, useMemo, useState } from "react";
import { loadLater } from "../app/loadLater";
import { useSession } from "../app/session";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Failure } from "../rpc/failure";
import { problemOf, problemsOf, type SourceProblem } from "../stores/generation";
import type { StudioState } from "../studio/useStudio";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import styles from "./SourcePanel.module.css";

const { Component: SourceEditor, prefetch } = loadLater(async () => (await import("./SourceEditor")).SourceEditor);

/** Fetches the editor before it is needed. */
export const prefetchEditor = prefetch;

interface SourcePanelProps {
  readonly source: string;
  /** The sealed reward that the source belongs to; absent while it is being written. */
  readonly reward?: Reward;
  readonly studio?: StudioState;
  readonly highlighted?: string;
}

/** Reward source, highlighted and editable; an edit is checked by the service before anything is trained for it. */
export function SourcePanel({ source, reward, studio, highlighted = "" }: SourcePanelProps) {
  const { writer } = useSession();
  const [edited, setEdited] = useState(source);
  const [failure, setFailure] = useState<Failure>();
  const [checking, setChecking] = useState(false);
  const text = reward ? edited : source;
  const changed = reward !== undefined && edited !== source;

  const problems: readonly SourceProblem[] = useMemo(() => {
    if (failure) return problemsOf(failure);
    return reward && !changed ? reward.diagnostics.map(problemOf) : [];
  }, [failure, reward, changed]);
  const markedLine = reward?.terms.find(({ name }) => name === highlighted)?.line ?? 0;
  const elsewhere = failure && problems.length === 0 ? failure : undefined;

  async function compile() {
    if (!reward || !studio || checking) return;
    setChecking(true);
    setFailure(undefined);
    try {
      studio.adoptReward(await writer.compile(studio.environmentId, edited, { ...studio.weights }, reward.prompt));
    } catch (thrown) {
      setFailure(thrown as Failure);
    } finally {
      setChecking(false);
    }
  }

  return (
    <div className={styles.panel}>
      <div className={styles.source} data-testid="reward-source">
        <Boundary what="The editor">
          <Suspense fallback={<pre className={styles.plain}>{text}</pre>}>
            <SourceEditor
              source={text}
              editable={reward !== undefined && !checking}
              problems={problems}
              markedLine={markedLine}
              onChange={(next) => {
                setEdited(next);
                setFailure(undefined);
              }}
              onSubmit={() => void compile()}
            />
          </Suspense>
        </Boundary>
      </div>
      {problems.length > 0 && (
        <ul
          className={styles.problems}
          data-testid={failure ? "error" : "diagnostics"}
          role={failure ? "alert" : undefined}
        >
          {problems.map(({ line, column, message, severity }) => (
            <li key={`${line}:${column} ${message}`} className={styles[severity]}>
              {line > 0 && (
                <code>
                  {line}:{column}
                </code>
              )}
              <span>{message}</span>
            </li>
          ))}
        </ul>
      )}
      {elsewhere && <FailureNotice failure={elsewhere} onRetry={() => void compile()} />}
      {changed && (
        <div className={styles.actions}>
          <Button variant="primary" size="small" busy={checking} onClick={() => void compile()} data-testid="compile">
            {checking ? "Checking" : "Check and use my edit"}
          </Button>
          <Button
            variant="quiet"
            size="small"
            disabled={checking}
            onClick={() => {
              setEdited(source);
              setFailure(undefined);
            }}
          >
            Undo my edit
          </Button>
        </div>
      )}
      {reward && !changed && (
        <p className={styles.hint}>
          This is the code that is trained for. You can edit it; it runs sealed off from your machine.
        </p>
      )}
    </div>
  );
}
