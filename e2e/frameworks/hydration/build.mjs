// Each page, rendered on the server, and the script that hydrates it: output/<name>/.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const react = (version, whole) => ({
  client: "react-client.mjs", server: "react-server.mjs",
  alias: { react: `react${version}`, "react-dom": `react-dom${version}` },
  define: { WHOLE: String(whole), VERSION: String(version) },
});
const vue = {
  client: "vue-client.mjs", server: "vue-server.mjs", alias: {},
  define: { __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "true" },
};
const pages = {
  "react18": react(18, false), "react18-whole": react(18, true),
  "react19": react(19, false), "react19-whole": react(19, true), vue,
};

await rm("output", { recursive: true, force: true });
for (const [name, { client, server, alias, define }] of Object.entries(pages)) {
  const shared = { bundle: true, minify: true, alias, logLevel: "error",
    define: { "process.env.NODE_ENV": '"production"', ...define } };
  await mkdir(`output/${name}`, { recursive: true });
  await build({ ...shared, entryPoints: [client], outfile: `output/${name}/client.js` });
  await build({ ...shared, entryPoints: [server], outfile: `output/${name}/server.cjs`, platform: "node", format: "cjs" });
  const { page } = (await import(`./output/${name}/server.cjs`)).default;
  await writeFile(`output/${name}/index.html`, await page());
}
