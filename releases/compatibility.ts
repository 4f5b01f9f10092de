import semver from "semver";
import type { Service } from "./service.ts";
import { startOrder } from "./start-order.ts";
import { verdictOf } from "./verdict.ts";
import type { Finding, Verdict } from "./verdict.ts";

/** What the rule reads of a service. */
export type ServiceContract = Pick<Service, "name" | "serves" | "requires" | "dependsOn">;

/** Can these services work together: every API called is served in a version that fits, and there is an order to start in. */
export function compatibility(services: readonly ServiceContract[]): Verdict {
  return verdictOf([...services.flatMap((service) => unmetApis(service, services)), ...faultyDependencies(services)]);
}

/** Does the service answer the API in a version of the range? A range nobody can read holds no version. */
export function answers(service: Pick<Service, "serves">, api: string, range: string): boolean {
  return Object.hasOwn(service.serves, api) && haveCommonVersion(service.serves[api] ?? "", range);
}

export function haveCommonVersion(one: string, other: string): boolean {
  const isReadable = [one, other].every((range) => range.trim() !== "" && semver.validRange(range) !== null);
  return isReadable && semver.intersects(one, other);
}

function unmetApis(caller: ServiceContract, services: readonly ServiceContract[]): Finding[] {
  const before = everythingBefore(caller, services);
  return Object.entries(caller.requires).flatMap(([api, range]) => {
    const servers = services.filter((service) => Object.hasOwn(service.serves, api));
    if (servers.length === 0) {
      return no(
        `${caller.name} requires API ${api} ${range}, which no service serves: add the service or drop the requirement`,
      );
    }
    const fitting = servers.filter((server) => answers(server, api, range));
    if (fitting.length === 0) {
      const offered = servers.map((server) => `${server.name} serves ${server.serves[api]}`).join(", ");
      return no(
        `${caller.name} requires API ${api} ${range}, but ${offered}: serve a version in that range or change the requirement`,
      );
    }
    if (!fitting.some((server) => server.name === caller.name || before.has(server.name))) {
      return no(
        `${caller.name} requires API ${api} ${range} of ${fitting.map((server) => server.name).join(", ")} without waiting for it: name it in dependsOn`,
      );
    }
    return [];
  });
}

function faultyDependencies(services: readonly ServiceContract[]): Finding[] {
  const names = services.map((service) => service.name);
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
  const unknown = services.flatMap((service) =>
    service.dependsOn
      .filter((other) => !names.includes(other))
      .flatMap((other) =>
        no(
          `${service.name} depends on ${other}, which is not in the release: add ${other} or remove it from dependsOn`,
        ),
      ),
  );
  const { stuck } = startOrder(services);
  return [
    ...twice.flatMap((name) => no(`service ${name} is listed more than once: keep one`)),
    ...unknown,
    ...(stuck.length === 0
      ? []
      : no(`${stuck.join(", ")} wait for each other in a circle: remove one dependsOn among them`)),
  ];
}

/** Names of all services that are ready before this one starts, near and far. */
function everythingBefore(service: ServiceContract, services: readonly ServiceContract[]): Set<string> {
  const before = new Set<string>();
  const waiting = [...service.dependsOn];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (before.has(name)) continue;
    before.add(name);
    waiting.push(...(services.find((other) => other.name === name)?.dependsOn ?? []));
  }
  return before;
}

function no(reason: string): Finding[] {
  return [{ outcome: "no-go", reason }];
}
