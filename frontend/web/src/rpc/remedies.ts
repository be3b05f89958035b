/** What a person can do about each reason of `tabrl.type.v1.ErrorReason`. */
const REMEDIES: Readonly<Record<string, (metadata: Readonly<Record<string, string>>) => string>> = {
  ENVIRONMENT_NOT_FOUND: ({ nearest }) =>
    nearest ? `Did you mean ${nearest}?` : "Choose an environment from the gallery.",
  REWARD_NOT_FOUND: () => "It may belong to another data folder. Write the reward again.",
  RUN_NOT_FOUND: () => "It may have been deleted, or belong to another data folder. Start a new run.",
  POLICY_NOT_FOUND: () => "It may have been deleted, or belong to another data folder. Choose another policy.",
  ARTIFACT_NOT_FOUND: () => "A file is missing from the data folder. Make the reward or policy again.",
  VERSION_NOT_FOUND: () => "It may have been deleted. Choose another one.",
  ENVIRONMENT_MISMATCH: () => "Choose another name for this robot's policies.",
  VERSION_TAGGED: () => "Move the tag to another version, or delete the tag, then delete the version.",
  TAG_MOVED: () => "The page shows it as it is now; look again before you change it.",
  NOTHING_TO_ROLL_BACK: () => "Move the tag to the version that you want.",
  POLICY_IN_USE: ({ references }) => (references ? `Delete ${references} first, then the policy.` : ""),
  REWARD_MISMATCH: () => "Write the reward again for this environment.",
  REWARD_REJECTED: () => "Correct the marked places and check again.",
  JAIL_UNAVAILABLE: () => "This machine cannot run reward code safely. The environment's own reward still trains.",
  MODEL_NOT_CONFIGURED: () => "Choose the built-in library, or set TABRL_LLM_MODEL and the provider's key and restart.",
  PROVIDER_FAILED: () => "Try again in a moment, or choose the built-in library.",
  PROVIDER_TIMEOUT: () => "Try again, or choose the built-in library.",
  PROVIDER_RATE_LIMITED: () => "Wait a little, or choose the built-in library.",
  PROVIDER_REFUSED: () => "Reword the prompt, or choose another model or the built-in library.",
  REFLECTION_NEEDS_LLM: () => "Configure a language model, or let the weights be searched.",
  RUN_CANCELLED: () => "A training that was waited for was cancelled; start again.",
  MEASURE_FAILED: () => "Try again in a moment.",
  LLM_BUDGET_SPENT: () => "Choose the built-in library, or wait for tomorrow (UTC).",
  PROVIDER_AUTHENTICATION: () => "Check the provider's API key and restart, or choose the built-in library.",
  PROVIDER_ANSWER_UNUSABLE: () => "Reword the prompt more concretely, or choose another model.",
  BEHAVIOUR_UNKNOWN: ({ nearest }) =>
    nearest
      ? `The built-in library knows something close: “${nearest}”. An LLM understands free wording.`
      : "Use its own task, or start from one of the examples if there are some below. An LLM understands free wording.",
  CHECKPOINT_INCOMPATIBLE: () => "Train again with this version of TabRL.",
  BACKEND_UNAVAILABLE: ({ remedy }) => remedy ?? "Leave the choice of physics to the machine.",
  COMPUTE_NOT_CONFIGURED: ({ remedy }) => remedy ?? "Run `modal token new`, or train on this machine.",
  COMPUTE_REFUSED: ({ remedy }) => remedy ?? "Run `modal token new`, or train on this machine.",
  COMPUTE_APP_NOT_DEPLOYED: ({ remedy }) => remedy ?? "Run `modal deploy deploy/modal/app.py`.",
  COMPUTE_QUOTA_SPENT: ({ remedy }) => remedy ?? "Raise the limit at modal.com/settings, wait, or train here.",
  COMPUTE_UNREACHABLE: ({ remedy }) => remedy ?? "Check the network, then try again.",
  OUT_OF_MEMORY: () => "Take fewer environments, a shorter unroll length or smaller hidden layers.",
  RUN_TIME_LIMIT: () => "Give the run more time, or fewer steps; its newest checkpoint is kept.",
  ROBOT_NOT_INSTALLED: () => "Download the robots; it takes a minute.",
  ROBOTS_UNREACHABLE: () => "The package registry does not answer. Is this machine online? Then try again.",
  ARTIFACT_DAMAGED: () =>
    "Make the reward again, or train again: the damaged file in the data folder is then replaced by a good one.",
  BUNDLE_REFUSED: () => "Have it made or sent again by whoever made it; a file that was changed on its way is refused.",
  HOST_NOT_ALLOWED: () =>
    "Open the page as http://localhost or http://127.0.0.1 with its port; from another machine, forward the port with `ssh -L`.",
  ORIGIN_NOT_ALLOWED: () => "Open TabRL's own page; pages of other sites may not call it.",
  ROUTE_NOT_FOUND: () => "Page and services are of different versions; reload the page.",
  REQUEST_TOO_LARGE: ({ limit_bytes }) => `Shorten it: a request may have ${Number(limit_bytes ?? 4 << 20) >> 20} MiB.`,
  DEADLINE_EXCEEDED: () => "The answer took too long; try again.",
  PARITY_FAILED: () => "The exported controller does not match its training. Train again or report it.",
  SERVICE_UNAVAILABLE: () => "It comes back by itself within seconds.",
  TOO_MANY_REQUESTS: () => "Others are being served; try again in a moment.",
  STORAGE_FULL: () => "Free some space on the disk that holds the data folder.",
  STORAGE_UNAVAILABLE: () => "Check the data folder, then try again.",
  RUN_ENDED: () => "The run is over already; nothing needs to be stopped.",
  WORKER_CRASHED: () => "Train again; the newest checkpoint is kept.",
  TRAINING_DIVERGED: () => "Soften terms that can grow without bound, or lower their weights, then train again.",
  DRAINING: () => "The service is restarting; try again in a moment.",
  INTERNAL: () => "This is a defect of TabRL. Trying again may help; the log has the details.",
};

/** The remedy for a reason, or for a bare status when there is no reason. */
export function remedyFor(reason: string, status: string, metadata: Readonly<Record<string, string>>): string {
  const remedy = REMEDIES[reason];
  if (remedy) return remedy(metadata);
  if (reason) return "";
  if (status === "UNAVAILABLE" || status === "UNKNOWN") return "TabRL cannot be reached. Is `make up` still running?";
  if (status === "DEADLINE_EXCEEDED") return "The answer took too long; try again.";
  return "";
}
