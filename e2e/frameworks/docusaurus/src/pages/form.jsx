import { useState } from "react";
import { Site } from "../site";

export default function Form() {
  const [sent, setSent] = useState("");
  return (
    <Site name="Form">
      <form onSubmit={(event) => { event.preventDefault(); setSent(new FormData(event.target).get("name")); }}>
        <input name="name" /><button>Send</button>
      </form>
      <p id="sent">{sent}</p>
    </Site>
  );
}
