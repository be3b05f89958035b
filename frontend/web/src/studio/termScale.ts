/** What stays, from one tick to the next, of the value that fills the bar of a term: at about 15 ticks a second a rare large one is forgotten within seconds. */
export const FORGETTING = 0.98;
