import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { corpus, loadCorpus } from "../../local/seed/corpus.ts";
import type { CorpusPiece } from "../../local/seed/corpus.ts";
import { installedFolders } from "../../local/seed/installed-text.ts";
import { pieceMaxBytes, pieceMinBytes } from "../../local/seed/piece.ts";

describe("the corpus of installed packages", function () {
  this.timeout(120_000);

  it("has 40,000 distinct pieces in several scripts, most of them short, within 80 MB", async () => {
    const distinct = new Set<string>();
    const scripts = { cjk: 0, cyrillic: 0, arabic: 0, latin: 0 };
    const sources = new Set<string>();
    let bytes = 0;
    let typical = 0;
    let large = 0;
    for (const piece of corpus(await installedFolders())) {
      const pieceBytes = Buffer.byteLength(piece.text);
      assert.ok(pieceBytes >= pieceMinBytes && pieceBytes <= pieceMaxBytes, `${piece.source} has ${pieceBytes} bytes`);
      assert.ok(!piece.text.includes("\0") && piece.text.isWellFormed(), piece.source);
      assert.ok(piece.title.length > 0 && piece.title.isWellFormed(), piece.source);
      assert.ok(!piece.source.startsWith("/"), piece.source);
      distinct.add(createHash("sha256").update(piece.text).digest("base64"));
      assert.ok(!sources.has(piece.source), `${piece.source} occurs twice`);
      sources.add(piece.source);
      bytes += pieceBytes;
      if (pieceBytes >= 300 && pieceBytes <= 2048) typical += 1;
      if (pieceBytes > 16_384) large += 1;
      if (/[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{2}/.test(piece.text)) scripts.cjk += 1;
      if (/\p{Script=Cyrillic}{4}/u.test(piece.text)) scripts.cyrillic += 1;
      if (/\p{Script=Arabic}{3}/u.test(piece.text)) scripts.arabic += 1;
      if (/[a-z]{4}/.test(piece.text)) scripts.latin += 1;
    }
    assert.equal(distinct.size, sources.size, "no two pieces are equal");
    assert.ok(distinct.size >= 40_000, `${distinct.size} pieces`);
    assert.ok(bytes < 80e6, `${bytes} bytes`);
    assert.ok(typical > 0.6 * distinct.size, `${typical} of ${distinct.size} have 300 B to 2 KiB`);
    assert.ok(large > 10 && large < 0.01 * distinct.size, `${large} are larger than 16 KiB`);
    assert.ok(scripts.cjk > 200 && scripts.cyrillic > 100 && scripts.arabic > 5, JSON.stringify(scripts));
    assert.ok(scripts.latin > 0.9 * distinct.size, JSON.stringify(scripts));
  });

  it("is the same each time, and read only as far as it is asked for", async () => {
    const folders = await installedFolders();
    const head = (): CorpusPiece[] => {
      const pieces = corpus(folders);
      return Array.from({ length: 300 }, () => pieces.next().value).filter((piece) => piece !== undefined);
    };
    const first = head();
    assert.equal(first.length, 300);
    assert.deepEqual(head(), first);
    const kinds = [".json#", ".js#", ".d.ts#", ".py#", "README.md#"];
    for (const kind of kinds)
      assert.ok(
        first.some(({ source }) => source.includes(kind)),
        `${kind} is among the first pieces`,
      );
  });

  it("lends texts that differ by seed, and says how many there are", async () => {
    const texts = await loadCorpus();
    const [one, two] = [[...texts.pieces(50, 1)], [...texts.pieces(50, 2)]];
    assert.equal(new Set([...one, ...two]).size, 100);
    assert.deepEqual([...texts.pieces(50, 1)], one);
    const poor = await loadCorpus([join(import.meta.dirname)]);
    assert.throws(() => [...poor.pieces(5, 0)], /yield 0 texts, 5 were asked for/);
  });

  describe("of other folders", () => {
    let folder = "";
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "seed-corpus-"));
    });
    afterEach(() => rm(folder, { recursive: true, force: true }));
    const text = "Every prompt of a tenant is sealed under that tenant's own key.\n".repeat(5);
    const write = async (path: string, content: string | Uint8Array): Promise<void> => {
      await mkdir(join(folder, path, ".."), { recursive: true });
      await writeFile(join(folder, path), content);
    };

    it("leaves out what PostgreSQL cannot store, and programs", async () => {
      await write("nul/README.md", `${text}\0${text}`);
      await write("latin1/README.md", Buffer.from(`${text}clé`, "latin1"));
      assert.ok(!isUtf8(Buffer.from("clé", "latin1")));
      await write("binary/tool.exe", text);
      await write("escaped/locale/xx.json", JSON.stringify({ one: `${text}\0` }));
      await write("broken/locale/xx.json", text);
      await write("good/README.md", text);
      assert.deepEqual(
        [...corpus([folder])].map(({ source }) => source),
        ["good/README.md#1"],
      );
    });

    it("takes a text once that two packages carry", async () => {
      await write("a/LICENSE", text);
      await write("b/LICENSE", text);
      const found = [...corpus([folder])];
      assert.equal(found.length, 1);
      assert.equal(found[0]?.text, text.trim());
    });

    it("takes the sentences of a message catalogue, not its keys", async () => {
      const sentences = { KEY_1: "Переменная не объявлена. ".repeat(10), KEY_2: "Ключ не найден. ".repeat(10) };
      await write("pkg/locales/ru.json", JSON.stringify(sentences));
      const [piece] = corpus([folder]);
      assert.ok(piece !== undefined && piece.text.startsWith("Переменная"));
      assert.ok(!piece.text.includes("KEY"), piece.text);
    });
  });
});
