// What a site's own code may write against static/banner/consent.d.ts. tsc checks it; each line
// after @ts-expect-error must be refused, and is a fault where it is not.
import type { Category, ConsentState } from "../../static/banner/consent";

const state: ConsentState = window.consent.get();
const decided: boolean = state.decided;
const gpc: boolean = state.gpc;
const analytics: boolean | undefined = state.categories.analytics;
const every: Category[] = [
  "necessary", "functional", "analytics", "session_replay", "advertising", "social",
];

const stop: () => void = window.consent.on("change", (changed) => {
  const allowed: boolean | undefined = changed.categories.advertising;
  console.log(allowed, changed.decided);
});
stop();
window.consent.open();
document.addEventListener("consent:change", (event) => {
  const told: ConsentState = event.detail;
  console.log(told.gpc, decided, gpc, analytics, every.length);
});

// @ts-expect-error there is no such category
state.categories.marketing;
// @ts-expect-error only changes can be listened to
window.consent.on("open", () => undefined);
// @ts-expect-error nothing can be chosen by script
window.consent.set({ analytics: true });
// @ts-expect-error a switch is on or off
const text: string = state.decided;
