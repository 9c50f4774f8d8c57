"use client";
import { useState } from "react";

export default function Form() {
  const [sent, setSent] = useState("");
  return (
    <main>
      <h1>Form</h1>
      <form onSubmit={(event) => { event.preventDefault(); setSent(new FormData(event.target).get("name")); }}>
        <input name="name" /><button>Send</button>
      </form>
      <p id="sent">{sent}</p>
    </main>
  );
}
