export { PlayerError, type PlayerErrorCode } from "./errors";
export type { PolicyInfo, ReadyInfo } from "./listener";
export type {
  ActuatorSpec,
  CommandElement,
  CommandSpec,
  EndOfEpisode,
  HeldCommands,
  JointSpec,
  ModelSizes,
  PlayerTick,
} from "./protocol";
export { RobotStage, type RobotStageHandle, type RobotStageProps } from "./RobotStage";
export { SideBySide, type SideBySideHandle, type SideBySideProps } from "./SideBySide";
export type { Theme } from "./stage/stage";
