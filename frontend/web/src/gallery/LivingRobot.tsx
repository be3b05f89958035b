import { Suspense, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { isSaving } from "../app/headStart";
import { Link } from "../app/Link";
import { loadLater, whenIdle } from "../app/loadLater";
import { useSession } from "../app/session";
import { ALL, useFresh, useResource } from "../stores/resource";
import { choosePretrained } from "../studio/pretrainedChoice";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import { PlayIcon } from "../ui/icons";
import styles from "./LivingRobot.module.css";
import { Thumbnail } from "./Thumbnail";
import { useTrained } from "./trained";

const { Component: RobotStage } = loadLater(async () => (await import("../player")).RobotStage);

/** Robots that move to look at and are quick to load; the first that a policy can drive is shown. */
const SHOWN_FIRST = ["Go1JoystickFlatTerrain", "WalkerWalk", "WalkerRun", "CheetahRun", "HopperHop", "CartpoleBalance"];
/** The picture while none of them can be driven: as wide as the place for it, so that nothing of the robot is cut off. */
const PICTURED = "CheetahRun";

const WIDE = "(min-width: 64.01rem)";

/** A robot that a policy drives, beside the first words that a person reads. Only where there is room for it; it starts by itself where that costs little. */
export function LivingRobot() {
  return useMedia(WIDE) ? <Shown /> : null;
}

function Shown() {
  const { gallery, pretrained, bundles } = useSession();
  const environments = useResource(gallery, ALL).value?.environments;
  const { policies } = useTrained();
  const drivable = SHOWN_FIRST.find((id) => policies.has(id));
  const [asked, setAsked] = useState(false);
  // The robot that was set up stays, whatever else turns out to be drivable.
  const [startedId, setStartedId] = useState("");
  if (asked && drivable && !startedId) setStartedId(drivable);
  const started = startedId !== "";
  const environmentId = startedId || drivable || PICTURED;
  const environment = environments?.find((each) => each.environmentId === environmentId);
  const first = useFresh(pretrained, startedId);
  const scene = useResource(bundles, startedId);
  const [policy, bundle] = [choosePretrained(first.value ?? [], "")?.policy, scene.value];
  const [ready, setReady] = useState(false);
  const [failed, setFailed] = useState(false);
  // What was looked for before anything was trained may be found by now; only then there is none.
  const absent = !policy && !first.loading && (first.failure !== undefined || first.value !== undefined);
  const broken = failed || absent || (!bundle && scene.failure !== undefined);
  const box = useRef<HTMLDivElement>(null);
  const visible = useVisible(box);

  useEffect(() => {
    if (startsByItself()) return whenIdle(() => setAsked(true));
  }, []);

  const title = environment?.title ?? environmentId;
  const moves = started && bundle && policy && !broken;
  return (
    <div
      ref={box}
      className={styles.box}
      data-testid="living-robot"
      data-state={moves && ready ? "playing" : "picture"}
    >
      <Thumbnail artifact={environment?.thumbnail} eager />
      {moves && (
        <div className={`${styles.stage} ${ready ? styles.ready : ""}`}>
          <Boundary what="The robot">
            <Suspense>
              <RobotStage
                bundle={bundle}
                policy={policy}
                playing={visible}
                label={`${title}, driven by a policy`}
                // That a policy is loaded does not mean that anything moves yet.
                onTick={({ driven }) => driven && setReady(true)}
                onError={() => setFailed(true)}
                onPolicyError={() => setFailed(true)}
              />
            </Suspense>
          </Boundary>
        </div>
      )}
      <div className={styles.caption}>
        {environment && <Link to={{ environmentId }}>{title}</Link>}
        {drivable && !asked && (
          <Button size="small" icon={<PlayIcon />} onClick={() => setAsked(true)} data-testid="play-living-robot">
            Let it move
          </Button>
        )}
        {started && broken && <span>It cannot be shown moving here.</span>}
        {started && !broken && (
          <span>{ready ? "A trained policy drives it. Pull it." : "Setting up the simulation"}</span>
        )}
      </div>
    </div>
  );
}

/** Whether MuJoCo may be fetched and run unasked: not against a person's wish, and not on a machine that is busy enough. */
function startsByItself(): boolean {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return !still && !isSaving() && navigator.hardwareConcurrency >= 4;
}

function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (onChange) => {
      const media = matchMedia(query);
      media.addEventListener("change", onChange);
      return () => media.removeEventListener("change", onChange);
    },
    () => matchMedia(query).matches,
  );
}

/** Whether any of it is on screen; what nobody sees does not move. */
function useVisible(element: React.RefObject<HTMLElement | null>): boolean {
  const [visible, setVisible] = useState(true);
  useEffect(() => {
    if (!element.current) return;
    const observer = new IntersectionObserver(([entry]) => setVisible(entry?.isIntersecting ?? true));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return visible;
}
