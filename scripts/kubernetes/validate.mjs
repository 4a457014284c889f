// Validates manifests against the published schemas of Kubernetes and of the Prometheus Operator:
// validate.mjs FILE… Run where their packages are. It also writes manifests.ts, in which the compiler
// of TypeScript finds the keys that no schema knows.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const here = pathToFileURL(join(process.cwd(), "node_modules/"));
const { parseAllDocuments } = createRequire(here)("yaml");

function schemaOf({ apiVersion, kind }) {
  const operator = apiVersion.startsWith("monitoring.coreos.com/");
  const base = operator ? "@kubernetes-models/prometheus-operator" : "kubernetes-models";
  return `${base}/${apiVersion}/${kind}`;
}

let wrong = 0;
let seen = 0;
let source = "";
for (const file of process.argv.slice(2)) {
  for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
    for (const error of [...document.errors, ...document.warnings]) {
      console.error(`${file}: ${error.message}`);
      wrong += 1;
    }
    const manifest = document.toJS();
    if (!manifest) continue;
    seen += 1;
    const schema = schemaOf(manifest);
    const models = await import(new URL(`${schema}.js`, here));
    try {
      new models[manifest.kind](manifest).validate();
    } catch (error) {
      console.error(`${file}: ${manifest.kind}: ${error.message}`);
      wrong += 1;
    }
    const text = JSON.stringify(manifest, null, 1);
    source += `// ${file}\nexport const m${seen}: import("${schema}").I${manifest.kind} = ${text};\n`;
  }
}
writeFileSync("manifests.ts", source);
console.log(`${seen} manifests`);
process.exit(wrong > 0 || seen === 0 ? 1 : 0);
