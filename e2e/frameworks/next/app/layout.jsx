import Link from "next/link";
import Script from "next/script";

const GTM = "(function(w,d,s,l,i){w[l]=w[l]||[];w[l].push({'gtm.start':new Date().getTime(),event:'gtm.js'});"
  + "var f=d.getElementsByTagName(s)[0],j=d.createElement(s),dl=l!='dataLayer'?'&l='+l:'';j.async=true;"
  + "j.src='https://www.googletagmanager.com/gtm.js?id='+i+dl;f.parentNode.insertBefore(j,f);})"
  + "(window,document,'script','dataLayer','GTM-TEST');";

export const metadata = { title: "Acme" };

export default function Layout({ children }) {
  return (
    <html lang="en">
      <body>
        <Script id="gtm" strategy="afterInteractive">{GTM}</Script>
        <noscript dangerouslySetInnerHTML={{ __html:
          '<iframe src="https://www.googletagmanager.com/ns.html?id=GTM-TEST" height="0" width="0"></iframe>' }} />
        <nav>
          <Link href="/">Home</Link> <Link href="/about">About</Link>{" "}
          <Link href="/form">Form</Link> <Link href="/patients/pay">Pay</Link>
        </nav>
        {children}
      </body>
    </html>
  );
}
