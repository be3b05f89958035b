import { TourOffer } from "../tour/Tour";
import styles from "./Intro.module.css";
import { LivingRobot } from "./LivingRobot";

/** What this page is, and a robot that shows it. */
export function Intro() {
  return (
    <section className={styles.intro} aria-labelledby="intro">
      <div className={styles.words}>
        <h1 id="intro">
          Tell a robot what to do.
          <br />
          Watch it <mark>learn</mark> in this tab.
        </h1>
        <ol className={styles.steps}>
          <li>
            <strong>Choose a robot.</strong> Each one is simulated right here, in your browser.
          </li>
          <li>
            <strong>Describe a behaviour.</strong> Your words become a reward: what the robot earns for doing it.
          </li>
          <li>
            <strong>Train.</strong> It practises on this machine and drives the robot better by the minute.
          </li>
        </ol>
        <TourOffer />
      </div>
      <LivingRobot />
    </section>
  );
}
