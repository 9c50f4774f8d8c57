import { Head, Html, Main, NextScript } from "next/document";

const GTM = "(function(w,d,s,l,i){w[l]=w[l]||[];w[l].push({'gtm.start':new Date().getTime(),event:'gtm.js'});"
  + "var f=d.getElementsByTagName(s)[0],j=d.createElement(s),dl=l!='dataLayer'?'&l='+l:'';j.async=true;"
  + "j.src='https://www.googletagmanager.com/gtm.js?id='+i+dl;f.parentNode.insertBefore(j,f);})"
  + "(window,document,'script','dataLayer','GTM-TEST');";

export default function Document() {
  return (
    <Html lang="en">
      <Head><script dangerouslySetInnerHTML={{ __html: GTM }} /></Head>
      <body>
        <noscript dangerouslySetInnerHTML={{ __html:
          '<iframe src="https://www.googletagmanager.com/ns.html?id=GTM-TEST" height="0" width="0"></iframe>' }} />
        <Main />
        <NextScript />
      </body>
    </Html>
  );
}
