import type { ComponentProps } from "react";
import type { JointSpec, PlayerTick, ReadyInfo } from "../player";
import type { Store } from "../stores/store";
import { CommandPad } from "./CommandPad";
import { Drawer } from "./Drawer";
import { PosePanel } from "./PosePanel";
import { PushPad } from "./PushPad";
import type { Drawer as Open } from "./Toolbar";

interface StageDrawerProps {
  readonly drawer: Open;
  readonly ready: ReadyInfo | undefined;
  readonly ticks: Store<PlayerTick | undefined>;
  readonly steering: ComponentProps<typeof CommandPad>;
  readonly pushing: ComponentProps<typeof PushPad>;
  readonly driven: boolean;
  /** Whether the person took the motors from the policy, or holds them. */
  readonly byHand: boolean;
  readonly onClose: () => void;
  readonly onRelease: (released: boolean) => void;
  readonly onJoint: (joint: JointSpec, value: number) => void;
  /** Holds all motors at these values; null lets go of them. */
  readonly onMotors: (values: readonly number[] | null) => void;
}

/** Whichever drawer is open beside the robot. */
export function StageDrawer(props: StageDrawerProps) {
  const { drawer, ready, ticks, steering, pushing, driven, byHand, onClose, onRelease, onJoint, onMotors } = props;
  if (drawer === "drive" && steering.specs.length > 0) {
    return (
      <Drawer title="Steer" testId="drive-panel" onClose={onClose}>
        <CommandPad {...steering} />
      </Drawer>
    );
  }
  if (drawer === "push") {
    return (
      <Drawer title="Push" testId="push-panel" onClose={onClose}>
        <PushPad {...pushing} />
      </Drawer>
    );
  }
  if (drawer !== "pose") return null;
  return (
    <Drawer title="Joints and motors" testId="pose-panel" onClose={onClose}>
      <PosePanel
        ticks={ticks}
        joints={ready?.joints ?? []}
        actuators={ready?.actuators ?? []}
        driven={driven}
        byHand={byHand}
        onJoint={onJoint}
        onMotor={(index, value) => {
          const values = Array.from(ticks.get()?.ctrl ?? []);
          values[index] = value;
          onMotors(values);
        }}
        onTakeOver={() => onRelease(true)}
        onLetGo={() => {
          onMotors(null);
          onRelease(false);
        }}
      />
    </Drawer>
  );
}
