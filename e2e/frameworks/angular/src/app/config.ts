import type { ApplicationConfig } from "@angular/core";
import { provideClientHydration } from "@angular/platform-browser";
import { provideRouter } from "@angular/router";
import { About, Form, Home, Pay } from "./pages";

export const config: ApplicationConfig = {
  providers: [
    provideRouter([
      { path: "", component: Home },
      { path: "about", component: About },
      { path: "form", component: Form },
      { path: "patients/pay", component: Pay },
    ]),
    provideClientHydration(),
  ],
};
