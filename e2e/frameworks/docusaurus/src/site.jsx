import Link from "@docusaurus/Link";
import { useEffect, useState } from "react";

export function Counter() {
  const [count, setCount] = useState(0);
  useEffect(() => { window.hydrated = true; }, []);
  return <button id="count" onClick={() => setCount(count + 1)}>Clicked {count}</button>;
}

export function Site({ name, children }) {
  return (
    <>
      <nav>
        <Link to="/">Home</Link> <Link to="/about">About</Link> <Link to="/form">Form</Link>{" "}
        <Link to="/patients/pay">Pay</Link>
      </nav>
      <main><h1>{name}</h1>{children}<Counter /></main>
    </>
  );
}
