export { PlayerError, type PlayerErrorCode } from "./errors";
export type { ModelSizes, PlayerTick } from "./protocol";
export { RobotStage, type RobotStageHandle, type RobotStageProps } from "./RobotStage";
export type { Theme } from "./stage/stage";
export type { PolicyInfo, ReadyInfo } from "./stageSession";
