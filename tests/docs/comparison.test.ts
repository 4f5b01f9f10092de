import assert from "node:assert/strict";
import { readPage } from "./markdown.ts";

const tools = ["Kargo", "Argo Rollouts", "Octopus", "Helm", "plain Pulumi"];
const sites: Readonly<Record<string, RegExp>> = {
  Kargo: /https:\/\/docs\.kargo\.io\//,
  "Argo Rollouts": /https:\/\/argoproj\.github\.io\/argo-rollouts\//,
  Octopus: /https:\/\/octopus\.com\/docs\//,
  Helm: /https:\/\/helm\.sh\/docs\//,
  "plain Pulumi": /https:\/\/www\.pulumi\.com\/docs\//,
};

describe("the page on other tools", () => {
  const { text } = readPage("docs/comparison.md");
  const situations = text.split(/^## (?=\d)/m).slice(1);

  it("asks five situations, and says of each what every tool does and which test shows ours", () => {
    assert.equal(situations.length, 5);
    for (const situation of situations) {
      const body = situation.split(/^## /m)[0] ?? "";
      for (const tool of tools) assert.ok(body.includes(`**${tool}**`), `${body.split("\n")[0]}: ${tool}`);
      const [, own = ""] = body.split("- **Here**");
      assert.match(own, /`tests\/[\w/.-]+\.ts`/, `${body.split("\n")[0]}: ours`);
    }
  });

  it("links to each tool's own documentation, and to nobody else's", () => {
    for (const tool of tools) assert.match(text, sites[tool] ?? /^$/, tool);
    const links = [...text.matchAll(/\]\((https?:[^)]+)\)/g)].map(([, link = ""]) => link);
    assert.ok(links.length >= 10);
    assert.deepEqual(
      links.filter((link) => !Object.values(sites).some((site) => site.test(link))),
      [],
    );
  });
});
