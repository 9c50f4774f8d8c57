/** What the site's own code may use. Present on every page that the proxy changed. */

export type Category =
  | "necessary"
  | "functional"
  | "analytics"
  | "session_replay"
  | "advertising"
  | "social";

export interface ConsentState {
  /** Whether the visitor has chosen under the present policy. */
  decided: boolean;
  /** Whether the browser sends an opt-out preference signal (Global Privacy Control). */
  gpc: boolean;
  /** The categories that this site uses; true where its tools may run. */
  categories: Partial<Record<Category, boolean>>;
}

export interface Consent {
  /** A copy of the present state. */
  get(): ConsentState;
  /** Opens the switches: in the banner while it is there, else on the preferences page. */
  open(): void;
  /** Calls `tell` after each choice made on this page. The result stops it. */
  on(type: "change", tell: (state: ConsentState) => void): () => void;
}

declare global {
  interface Window {
    consent: Consent;
  }
  interface DocumentEventMap {
    "consent:change": CustomEvent<ConsentState>;
  }
}
