import { useState } from "react";

export default function Form() {
  const [sent, setSent] = useState("");
  return (
    <div>
      <form onSubmit={(event) => { event.preventDefault(); setSent(new FormData(event.target).get("name")); }}>
        <input name="name" /><button>Send</button>
      </form>
      <p id="sent">{sent}</p>
    </div>
  );
}
