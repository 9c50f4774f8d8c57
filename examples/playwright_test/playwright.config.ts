import { defineConfig } from "@playwright/test";
import type { ConsentOptions } from "./consent";

export default defineConfig<ConsentOptions>({
  use: { baseURL: "https://staging.example.com/" },
});
