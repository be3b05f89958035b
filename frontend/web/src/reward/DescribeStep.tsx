import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { useSession } from "../app/session";
import type { Model } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { violationOf } from "../rpc/failure";
import { useApproaches } from "../stores/approaches";
import { MAX_PROMPT_CHARS, promptProblem, useGeneration } from "../stores/generation";
import { LIBRARY, onlyLibrary } from "../stores/models";
import { ALL, useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { Step } from "../studio/Step";
import type { StudioState } from "../studio/useStudio";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { ArrowIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import { ApproachCards } from "./ApproachCards";
import styles from "./DescribeStep.module.css";
import { EarlierPrompts } from "./EarlierPrompts";
import { GenerationProgress } from "./GenerationProgress";
import { useDescribeCommands } from "./useDescribeCommands";
import { usePrompt } from "./usePrompt";

/** Step 1: the behaviour in the person's words. */
export function DescribeStep({ studio }: { readonly studio: StudioState }) {
  const { approaches, models, navigation, writer } = useSession();
  const listed = useResource(models, ALL);
  const generation = useGeneration(writer, studio.environmentId);
  const several = useApproaches(approaches, studio.environmentId);
  const [chosenModel, setChosenModel] = useState("");
  const [problem, setProblem] = useState("");
  const promptId = useId();
  // A model that is listed no more is not asked for.
  const model = listed.value?.some(({ name }) => name === chosenModel) ? chosenModel : "";
  const working = generation.status === "working";
  const writingSeveral = several.status === "working";
  const summary = studio.environment.value?.summary;
  const reward = studio.goal.kind === "reward" ? studio.goal.reward : undefined;
  const [prompt, setPrompt] = usePrompt(studio.environmentId, reward);

  // What was being written when the page was left is still there, or is written on.
  useEffect(() => approaches.resume(studio.environmentId), [approaches, studio.environmentId]);

  // Who has watched it being written gets it; who comes back later does too, unless they came for something else.
  const watched = useRef(false);
  if (working) watched.current = true;
  const { rewardId, runId } = useStore(navigation.place);
  const wanted = watched.current || (rewardId === "" && runId === "");
  const made = wanted ? generation.reward : undefined;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the reward is what triggers it
  useEffect(() => {
    if (!made) return;
    writer.taken();
    studio.adoptReward(made);
  }, [made]);

  // The list is of before a restart.
  const unlisted = [generation.failure, several.failure].some((each) => each?.reason === "MODEL_NOT_CONFIGURED");
  useEffect(() => {
    if (unlisted) models.reload(ALL);
  }, [models, unlisted]);

  const refused = violationOf(generation.failure, "prompt") ?? violationOf(several.failure, "prompt");
  const fieldProblem = problem || refused?.description || "";
  const otherFailure =
    generation.failure && !violationOf(generation.failure, "prompt") ? generation.failure : undefined;

  async function generate() {
    const found = promptProblem(prompt) ?? "";
    setProblem(found);
    if (found) return document.getElementById(promptId)?.focus();
    if (several.status !== "idle") approaches.clear();
    await writer.generate(studio.environmentId, prompt, model);
  }

  function generateSeveral() {
    const found = promptProblem(prompt) ?? "";
    setProblem(found);
    if (found) return document.getElementById(promptId)?.focus();
    if (generation.status !== "idle") writer.clear();
    void approaches.write(studio.environmentId, prompt, model);
  }

  useDescribeCommands({
    reward: reward !== undefined,
    idle: !working && !writingSeveral,
    own: studio.goal.kind === "own",
    describe: () => document.getElementById(promptId)?.focus(),
    write: () => void generate(),
    writeSeveral: generateSeveral,
    useOwn: studio.chooseOwnReward,
  });

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
      event.preventDefault();
      if (working || writingSeveral) return;
      if (event.shiftKey) generateSeveral();
      else void generate();
    }
  }

  const length = [...prompt.trim()].length;
  return (
    <Step
      number={1}
      title="Say what it should do"
      state={studio.goal.kind === "none" ? "now" : "done"}
      intro={summary?.description ? `Its own task: ${lowerFirst(summary.description)}` : undefined}
    >
      <div>
        <label htmlFor={promptId} className="hidden-visually">
          Behaviour in your words
        </label>
        <textarea
          id={promptId}
          className={fieldStyles.input}
          placeholder={
            summary?.examplePrompts[0] ? `For example: ${summary.examplePrompts[0]}` : "Describe a behaviour"
          }
          value={prompt}
          rows={3}
          aria-invalid={fieldProblem !== ""}
          aria-describedby={`${promptId}-problem`}
          onChange={(event) => {
            setPrompt(event.target.value);
            setProblem("");
          }}
          onKeyDown={onKeyDown}
          data-testid="prompt"
        />
        <p id={`${promptId}-problem`} className={fieldStyles.problem} role="alert">
          {fieldProblem && <span data-testid="error">{fieldProblem}</span>}
          {!fieldProblem && length > MAX_PROMPT_CHARS * 0.9 && (
            <span className={styles.count}>
              {length.toLocaleString("en")} of {MAX_PROMPT_CHARS.toLocaleString("en")} characters
            </span>
          )}
        </p>
      </div>
      {summary &&
        summary.examplePrompts.length > 0 &&
        ((studio.goal.kind === "none" && !studio.rewardId) || otherFailure) && (
          <ul className={styles.examples} aria-label="Examples" data-testid="examples">
            {summary.examplePrompts.map((example) => (
              <li key={example}>
                <button type="button" onClick={() => setPrompt(example)} data-testid="example-prompt">
                  {example}
                </button>
              </li>
            ))}
          </ul>
        )}
      <div className={styles.actions}>
        <Button
          variant="primary"
          onClick={() => void generate()}
          busy={working}
          disabled={writingSeveral}
          aria-keyshortcuts="Control+Enter"
          title="Ctrl + Enter"
          data-testid="generate"
        >
          {working ? "Writing the reward" : reward ? "Write it anew" : "Write the reward"}
          {!working && <ArrowIcon />}
        </Button>
        {working || writingSeveral ? (
          <Button
            onClick={() => {
              if (working) writer.cancel();
              if (writingSeveral) approaches.cancel();
            }}
            data-testid="cancel-writing"
          >
            Cancel
          </Button>
        ) : (
          <Button
            onClick={generateSeveral}
            aria-keyshortcuts="Control+Shift+Enter"
            title="Three different rewards for the same words, to choose from (Ctrl + Shift + Enter)"
            data-testid="generate-approaches"
          >
            Show three approaches
          </Button>
        )}
        <Button
          variant="quiet"
          className={styles.own}
          onClick={() => studio.chooseOwnReward()}
          disabled={working || writingSeveral || studio.goal.kind === "own"}
          title="Train for the reward that this environment comes with"
          data-testid="own-reward"
        >
          Use its own task
        </Button>
      </div>
      {listed.failure && <FailureNotice failure={listed.failure} onRetry={() => models.reload(ALL)} />}
      {listed.value && <ModelChoice models={listed.value} chosen={model} onChoose={setChosenModel} />}
      <EarlierPrompts
        environmentId={studio.environmentId}
        rewardId={studio.rewardId}
        onChoose={(chosen) => {
          setPrompt(chosen);
          setProblem("");
          document.getElementById(promptId)?.focus();
        }}
      />
      {(working || generation.repairs.length > 0) && <GenerationProgress generation={generation} />}
      {otherFailure && <FailureNotice failure={otherFailure} onRetry={() => void generate()} />}
      <ApproachCards studio={studio} />
    </Step>
  );
}

interface ModelChoiceProps {
  readonly models: readonly Model[];
  readonly chosen: string;
  readonly onChoose: (name: string) => void;
}

/** Who writes the reward. Says plainly when that is the built-in library, which understands no free wording. */
function ModelChoice({ models, chosen, onChoose }: ModelChoiceProps) {
  const id = useId();
  const model = models.find(({ name }) => name === chosen) ?? models[0];
  if (!model) return null;
  return (
    <div className={styles.model}>
      {onlyLibrary(models) ? (
        <p data-testid="model" data-model={LIBRARY}>
          <strong>Written by the built-in library, without an LLM.</strong> It knows a fixed set of behaviours per
          robot. Set <code>TABRL_LLM_MODEL</code> and a key for free wording.
        </p>
      ) : (
        <>
          <label htmlFor={id}>Written by</label>
          <select
            id={id}
            value={model.name}
            onChange={(event) => onChoose(event.target.value)}
            data-testid="model"
            data-model={model.name}
          >
            {models.map(({ name, title }) => (
              <option key={name} value={name}>
                {title || name}
              </option>
            ))}
          </select>
          <p>{model.description}</p>
        </>
      )}
    </div>
  );
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
