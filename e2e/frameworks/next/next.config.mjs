// The folder is its own root: other lock files lie above it.
export default { distDir: "output", turbopack: { root: import.meta.dirname } };
