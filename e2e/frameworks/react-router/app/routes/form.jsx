import { Form, useActionData } from "react-router";

export async function action({ request }) {
  return { name: (await request.formData()).get("name") };
}

export default function Page() {
  const sent = useActionData();
  return (
    <main>
      <h1>Form</h1>
      <Form method="post"><input name="name" /><button>Send</button></Form>
      <p id="sent">{sent?.name ?? ""}</p>
    </main>
  );
}
