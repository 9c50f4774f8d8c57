const GTM = "(function(w,d,s,l,i){w[l]=w[l]||[];w[l].push({'gtm.start':new Date().getTime(),event:'gtm.js'});"
  + "var f=d.getElementsByTagName(s)[0],j=d.createElement(s),dl=l!='dataLayer'?'&l='+l:'';j.async=true;"
  + "j.src='https://www.googletagmanager.com/gtm.js?id='+i+dl;f.parentNode.insertBefore(j,f);})"
  + "(window,document,'script','dataLayer','GTM-TEST');";

export default defineNuxtConfig({
  telemetry: false,
  nitro: { output: { dir: "output" } },
  app: { head: {
    title: "Acme",
    htmlAttrs: { lang: "en" },
    link: [{ rel: "stylesheet", href: "https://fonts.googleapis.com/css2?family=Inter&display=swap" }],
    script: [{ innerHTML: GTM }],
    noscript: [{ innerHTML: '<iframe src="https://www.googletagmanager.com/ns.html?id=GTM-TEST" height="0" width="0"></iframe>', tagPosition: "bodyOpen" }],
  } },
});
