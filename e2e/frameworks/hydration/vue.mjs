import { createSSRApp, h, ref } from "vue";
import { parts } from "./pages.mjs";

export const app = () => createSSRApp({
  setup() {
    const count = ref(0);
    return () => h("main", null, [h("h1", null, "Hydrated"),
      ...parts("innerHTML").map(([tag, attributes, text]) => h(tag, attributes, text)),
      h("button", { id: "count", onClick: () => { count.value += 1; } }, `Clicked ${count.value}`)]);
  },
});
