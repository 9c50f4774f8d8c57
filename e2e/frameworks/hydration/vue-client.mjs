import { app } from "./vue.mjs";

app().mount("#app");
window.hydrated = true;
