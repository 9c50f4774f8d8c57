// What a site team checks before each release. The site's address: use.baseURL.
import { assertNoTrackers, assertOnlyVendors, test } from "./consent";

test("nothing before the choice", async ({ visitor }) => {
  await assertNoTrackers(await visitor.open("/"));
});

test("nothing after a refusal", async ({ visitor }) => {
  await visitor.open("/");
  await assertNoTrackers(await visitor.rejects());
});

test("analytics alone", async ({ visitor }) => {
  await visitor.open("/");
  const page = await visitor.accepts("analytics");
  await assertOnlyVendors(page, ["google-analytics", "google-tag-manager"]);
});

test("nothing with the opt-out signal", async ({ visitor }) => {
  await visitor.withGpc();
  await assertNoTrackers(await visitor.open("/"));
});

test("nothing on pages for patients", async ({ visitor }) => {
  await visitor.open("/");
  await visitor.accepts();
  await assertNoTrackers(await visitor.open("/patients/pay"));
});

test("nothing after the withdrawal", async ({ visitor }) => {
  await visitor.open("/");
  await visitor.accepts();
  await assertNoTrackers(await visitor.withdraws());
});
