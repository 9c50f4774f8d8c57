import Link from "next/link";

export default function App({ Component, pageProps }) {
  return (
    <>
      <nav>
        <Link href="/">Home</Link> <Link href="/about">About</Link>{" "}
        <Link href="/form">Form</Link> <Link href="/patients/pay">Pay</Link>
      </nav>
      <Component {...pageProps} />
    </>
  );
}
