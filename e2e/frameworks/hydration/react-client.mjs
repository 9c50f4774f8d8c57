import { hydrateRoot } from "react-dom/client";
import { Content, Whole, h } from "./react.mjs";

const failed = (error) => console.error("hydration: " + error.message);
if (WHOLE) hydrateRoot(document, h(Whole), { onRecoverableError: failed });
else hydrateRoot(document.getElementById("app"), h(Content), { onRecoverableError: failed });
window.hydrated = true;
