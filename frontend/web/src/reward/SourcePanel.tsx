import { Suspense, useMemo, useState } from "react";
import { loadLater } from "../app/loadLater";
import { useSession } from "../app/session";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Failure } from "../rpc/failure";
import { useDraftOver } from "../stores/draft";
import { problemOf, problemsOf, type SourceProblem } from "../stores/generation";
import type { StudioState } from "../studio/useStudio";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import { Allowed } from "./Allowed";
import { Problems } from "./Problems";
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
  // An edit that is not checked yet survives a reload.
  const { text: edited, write, discard } = useDraftOver(`source.${reward?.rewardId ?? ""}`, source);
  const [failure, setFailure] = useState<Failure>();
  const [quick, setQuick] = useState<readonly SourceProblem[]>([]);
  const [checking, setChecking] = useState(false);
  const text = reward ? edited : source;
  const changed = reward !== undefined && edited !== source;

  const problems: readonly SourceProblem[] = useMemo(() => {
    if (failure) return problemsOf(failure);
    if (changed) return quick;
    return reward ? reward.diagnostics.map(problemOf) : [];
  }, [failure, reward, changed, quick]);
  const markedLine = reward?.terms.find(({ name }) => name === highlighted)?.line ?? 0;
  const elsewhere = failure && problems.length === 0 ? failure : undefined;

  async function compile() {
    if (!reward || !studio || checking || !changed) return;
    setChecking(true);
    setFailure(undefined);
    try {
      const sealed = await writer.compile(studio.environmentId, edited, { ...studio.weights }, reward.prompt);
      discard();
      studio.adoptReward(sealed);
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
              original={changed ? source : undefined}
              onChange={(next) => {
                if (next === source) discard();
                else write(next);
                setFailure(undefined);
              }}
              onSubmit={() => void compile()}
              onQuickProblems={setQuick}
            />
          </Suspense>
        </Boundary>
      </div>
      <Problems problems={problems} refused={failure !== undefined} />
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
              discard();
              setFailure(undefined);
              setQuick([]);
            }}
          >
            Undo my edit
          </Button>
        </div>
      )}
      {changed && (
        <p className={styles.hint}>
          {checking
            ? "The code is read rule by rule, traced in a sealed-off process, and tried on states of the robot."
            : "Green is yours, red is what was there. Ctrl + S checks the whole code; only then can it be trained for."}
        </p>
      )}
      {reward && !changed && (
        <p className={styles.hint}>
          This is the code that is trained for. You can edit it; it runs sealed off from your machine.
        </p>
      )}
      {reward && <Allowed />}
    </div>
  );
}
