import { z } from "zod";

/** Kong's declarative format 3.0 as documented, as far as it is used here; anything else fails. */
const name = z.string().regex(/^[\w.\-~]+$/);
const tags = z.array(z.string().regex(/^[^,/]+$/));
const timeout = z.int().min(1).max(2_147_483_646);

const plugin = z.discriminatedUnion("name", [
  z.strictObject({
    name: z.literal("request-termination"),
    config: z.strictObject({
      status_code: z.int().min(100).max(599),
      content_type: z.string().optional(),
      body: z.string().optional(),
    }),
  }),
  z.strictObject({
    name: z.literal("response-transformer"),
    config: z.strictObject({ add: z.strictObject({ headers: z.array(z.string().regex(/^[\w-]+:.+$/)) }) }),
  }),
]);

const route = z.strictObject({
  name,
  // A path is a prefix that begins with /, or a regular expression that begins with ~/.
  paths: z.array(z.string().regex(/^~?\//)).min(1),
  strip_path: z.boolean(),
  preserve_host: z.boolean(),
  tags,
  headers: z.record(z.string().regex(/^[\w-]+$/), z.array(z.string().min(1)).min(1)).optional(),
  plugins: z.array(plugin).optional(),
});

const upstream = z.strictObject({
  name,
  targets: z.array(
    z.strictObject({ target: z.string().regex(/^[^:/\s]+:\d+$/), weight: z.int().min(0).max(65_535), tags }),
  ),
  tags,
});

const service = z.strictObject({
  name,
  protocol: z.enum(["http", "https"]),
  host: z.string().min(1),
  port: z.int().min(0).max(65_535),
  retries: z.int().min(0).max(32_767),
  connect_timeout: timeout,
  read_timeout: timeout,
  write_timeout: timeout,
  tags,
  routes: z.array(route),
});

export const kongFormat = z
  .strictObject({
    _format_version: z.enum(["1.1", "2.1", "3.0"]),
    _transform: z.boolean().optional(),
    services: z.array(service),
    routes: z.array(route),
    upstreams: z.array(upstream),
  })
  .superRefine((configuration, context) => {
    const routes = [...configuration.services.flatMap((each) => each.routes), ...configuration.routes];
    for (const [thing, names] of [
      ["service", configuration.services.map((each) => each.name)],
      ["route", routes.map((each) => each.name)],
      ["upstream", configuration.upstreams.map((each) => each.name)],
    ] as const) {
      const twice = names.find((each, index) => names.indexOf(each) !== index);
      if (twice !== undefined) context.addIssue({ code: "custom", message: `${thing} ${twice} stands twice` });
    }
  });
