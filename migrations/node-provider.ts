/**
 * Text of the one dynamic provider behind every migration node, as Pulumi's dynamic provider process loads it: a CommonJS
 * module whose `handler()` returns the provider. It stands twice in the state of every node, so it is short. Any change of it
 * would make noise in every preview or run stale code on delete, so it captures nothing and each method loads the real code
 * when it is called: the process runs in the program's folder.
 *
 * Written by hand: a `pulumi.dynamic.Resource` would load the TypeScript compiler in every preview to make seven times as
 * much text, and another one with each release of the SDK.
 */
export const providerText =
  'const f=m=>async(...a)=>(await import(process.cwd()+"/migrations/provider.ts"))[m](...a);' +
  "exports.handler=()=>({" +
  'check:f("check"),diff:f("diff"),create:f("create"),update:f("update"),read:f("read"),delete:f("remove")});';
