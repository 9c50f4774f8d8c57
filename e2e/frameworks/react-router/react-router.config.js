export default { ssr: true, buildDirectory: "output" };
