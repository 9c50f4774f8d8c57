"use client";
import { useEffect, useState } from "react";

export default function Counter() {
  const [count, setCount] = useState(0);
  useEffect(() => { window.hydrated = true; }, []);
  return <button id="count" onClick={() => setCount(count + 1)}>Clicked {count}</button>;
}
