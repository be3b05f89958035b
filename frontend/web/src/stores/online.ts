import { createStore, type Store } from "./store";

/** Whether this device has a network at all, as the browser says. A TabRL on the same machine answers without one. */
export function followOnline(onReturn: () => void): Store<boolean> {
  const online = createStore(navigator.onLine);
  const read = () => {
    online.set(navigator.onLine);
    onReturn();
  };
  window.addEventListener("online", read);
  window.addEventListener("offline", read);
  return online;
}
