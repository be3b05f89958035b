/** What a measurement of robustness does to a robot, in words for people, in the order in which it is shown. */
export const DISTURBANCES = [
  { disturbance: "pushes", title: "Pushes" },
  { disturbance: "payload", title: "Carried weight" },
  { disturbance: "slippery", title: "Slippery ground" },
  { disturbance: "weak", title: "Weak motors" },
  { disturbance: "noise", title: "Noisy sensors" },
  { disturbance: "delay", title: "Late decisions" },
] as const;
