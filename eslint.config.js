import tseslint from "typescript-eslint";

/**
 * The import table of the house: what a folder may import, as one pattern a folder. A pattern is what is allowed; all
 * else is refused. Own folder and JSON are always allowed.
 */
const table = {
  releases: { allow: ["zod", "semver", "node:crypto"] },
  components: {
    allow: ["@pulumi/.*", "node:fs"],
    types: ["\\.\\./releases/.*"],
    folders: ["migrations/(guard|tenants|smoke|prepare|cutover|finalize|flags|traffic|reference|wave-inputs)"],
  },
  migrations: {
    allow: [
      "pg",
      "pg-copy-streams",
      "@zilliz/milvus2-sdk-node",
      "protobufjs.*",
      "p-limit",
      "p-retry",
      "execa",
      "yaml",
      "node:.*",
    ],
  },
  coordinator: {
    allow: [
      "@pulumi/pulumi/automation/.*",
      "@pulumi/pulumi",
      "@aws-sdk/client-s3",
      "commander",
      "yaml",
      "cli-table3",
      "execa",
      "p-retry",
      "pg",
      "semver",
      "node:.*",
    ],
    folders: ["releases/.*", "migrations/.*"],
  },
};

/** Only these files of migrations/ may know Pulumi: the resources. */
const resourceFiles = [
  "guard",
  "tenants",
  "smoke",
  "prepare",
  "cutover",
  "finalize",
  "flags",
  "traffic",
  "migration-resource",
  "resource-row",
  "node-provider",
  "wave-announcement",
];

function rule(folder, { allow, folders = [], types = [] }) {
  const within = "\\./.*|(\\.\\./)+" + folder + "/.*";
  const others = folders.map((other) => `(\\.\\./)+${other}\\.ts`);
  const deeper =
    folder === "migrations"
      ? ["\\.\\./(?!\\.\\./(releases|components|coordinator|local|tests|bench)).*"]
      : folder === "coordinator"
        ? ["\\.\\./[a-z-]+\\.ts", "\\.\\./[a-z-]+/[a-z-]+\\.ts"]
        : [];
  const allowed = [within, ...allow, ...others, ...deeper, ...types];
  return {
    "@typescript-eslint/no-restricted-imports": [
      "error",
      {
        patterns: [
          {
            regex: `^(?!(${allowed.join("|")})$)`,
            message: `${folder}/ may not import this; the table is in CONTRIBUTING.md.`,
          },
          ...(types.length === 0
            ? []
            : [
                {
                  regex: `^(${types.join("|")})$`,
                  allowTypeImports: true,
                  message: `${folder}/ may import only types from there; the table is in CONTRIBUTING.md.`,
                },
              ]),
        ],
      },
    ],
  };
}

export default tseslint.config(
  { ignores: ["node_modules", ".local*"] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/restrict-template-expressions": "off",
      "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }],
      eqeqeq: ["error", "always", { null: "ignore" }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    },
  },
  ...Object.entries(table).map(([folder, allowed]) => ({ files: [`${folder}/**/*.ts`], rules: rule(folder, allowed) })),
  {
    files: resourceFiles.map((file) => `migrations/${file}.ts`),
    rules: rule("migrations", { allow: [...table.migrations.allow, "@pulumi/pulumi.*"] }),
  },
  {
    files: ["index.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "^(?!(@pulumi/pulumi|\\./releases/.*|\\./components/.*)$)",
              message: "index.ts imports releases and components only.",
            },
          ],
        },
      ],
    },
  },
  { files: ["**/*.js"], extends: [tseslint.configs.disableTypeChecked] },
  {
    // Tests read answers and rows as they come; their assertions are what checks the shape.
    files: ["tests/**/*.ts"],
    rules: Object.fromEntries(
      ["assignment", "member-access", "argument", "return", "call"].map((what) => [
        `@typescript-eslint/no-unsafe-${what}`,
        "off",
      ]),
    ),
  },
);
