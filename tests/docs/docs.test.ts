import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { parse } from "yaml";
import { repositoryFolder } from "../../local/folders.ts";
import { getRelease } from "../../releases/catalog.ts";
import { environmentSchema, parseEnvironment } from "../../releases/environment.ts";
import { pinOf } from "../../releases/pin.ts";
import { faultOf } from "./known-commands.ts";
import { allPages, anchorsOf, blocksOf, namedPaths, readPage, relativeLinks } from "./markdown.ts";
import { simpleCommands } from "./shell-words.ts";

const key = "release-coordinator:environment";

/** Hashes on a page are examples of their day: the catalog's own take their place. */
const withPins = (text: string): string =>
  text.replaceAll(/\b(r\d)@[0-9a-f]{12}\b/g, (_, id: string) => pinOf(getRelease(id)));

describe("the documentation", function () {
  this.timeout(120_000);
  const pages = allPages();

  it("has the pages that the README promises", () => {
    const paths = pages.map(({ path }) => path);
    for (const page of ["architecture", "adopt", "faq-rollback", "what-stays-clear", "vocabulary"])
      assert.ok(paths.includes(`docs/${page}.md`), page);
  });

  it("names only commands, subcommands, flags, targets and scripts that exist", async () => {
    const faults: string[] = [];
    let count = 0;
    for (const page of pages)
      for (const block of blocksOf(page, "sh"))
        for (const words of simpleCommands(block.text)) {
          count += 1;
          const fault = await faultOf(words);
          if (fault !== undefined) faults.push(`${page.path}:${block.line}: ${words.join(" ")}: ${fault}`);
        }
    assert.ok(count > 10);
    assert.deepEqual(faults, []);
  });

  it("would notice a command that does not exist", async () => {
    const bad = {
      "node coordinator/main.ts teleport --env dev": /no subcommand teleport/,
      "coordinator status --enviroment dev": /has no --enviroment/,
      "coordinator tenant offboard acme": /no subcommand offboard/,
      "pulumi previw --stack dev": /no subcommand previw/,
      "pulumi preview --stak dev": /has no --stak/,
      "make deploy": /no target deploy/,
      "npm run ship": /no script ship/,
      "node bench/nothing.ts": /there is no bench\/nothing.ts/,
      "terraform apply": /nobody knows/,
    };
    for (const [line, pattern] of Object.entries(bad)) {
      const [words = []] = simpleCommands(line);
      assert.match((await faultOf(words)) ?? "", pattern, line);
    }
  });

  it("links only to pages, files and headings that exist", () => {
    const faults = pages.flatMap((page) =>
      relativeLinks(page).flatMap((link) => {
        const [file = "", anchor] = link.split("#");
        const path = file === "" ? page.path : normalize(join(dirname(page.path), file));
        if (!existsSync(join(repositoryFolder, path))) return [`${page.path}: ${link}`];
        if (anchor === undefined || !path.endsWith(".md")) return [];
        return anchorsOf(readPage(path)).includes(anchor) ? [] : [`${page.path}: ${link}`];
      }),
    );
    assert.deepEqual(faults, []);
  });

  it("names only files and folders that exist", () => {
    // `.local` is what `make up` makes; what stands under it is named in the pages, not in the checkout.
    const faults = pages.flatMap((page) =>
      namedPaths(page)
        .filter((path) => !path.startsWith(".local/"))
        .filter((path) => ![".", dirname(page.path)].some((at) => existsSync(join(repositoryFolder, at, path))))
        .map((path) => `${page.path}: ${path}`),
    );
    assert.deepEqual(faults, []);
    assert.ok(pages.flatMap(namedPaths).length > 50);
  });

  it("shows JSON and YAML that can be parsed, and stack files that the program takes", () => {
    let stackFiles = 0;
    for (const page of pages) {
      for (const { text, line } of blocksOf(page, "json"))
        assert.doesNotThrow(() => JSON.parse(text), `${page.path}:${line}`);
      for (const { text, line } of blocksOf(page, "yaml")) {
        const found = parse(withPins(text)) as { config?: Record<string, unknown> };
        if (found.config === undefined) continue;
        stackFiles += 1;
        assert.doesNotThrow(() => parseEnvironment(found.config?.[key], `${page.path}:${line}`));
      }
    }
    assert.ok(stackFiles > 0);
  });

  it("explains every field of a stack file", () => {
    const page = readPage("docs/adopt.md");
    const [block] = blocksOf(page, "yaml");
    const shown = (parse(withPins(block?.text ?? "")) as { config: Record<string, object> }).config[key] ?? {};
    const explained = (field: string) => field in shown || page.prose.includes(`\`${field}\``);
    assert.deepEqual(
      Object.keys(environmentSchema.shape).filter((field) => !explained(field)),
      [],
    );
  });

  it("says the words of the vocabulary, and names no machine of ours", () => {
    const own = pages.filter(({ path }) => /^(docs|\.github|CHANGELOG)/.test(path));
    for (const { path, prose } of own) {
      assert.doesNotMatch(
        prose,
        /\b(canary tenant|shadow job|master key|deployment set|backfill job|version set)\b/i,
        path,
      );
      assert.doesNotMatch(prose, /(^|[\s`(])\/(home|root|work|tmp|var|Users)\//, path);
    }
  });
});
