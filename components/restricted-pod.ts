/** Account of every process: nobody in particular, and never root. */
const userId = 65_532;

/** Security context of a pod that Pod Security's profile "restricted" admits. */
export const restrictedPod = {
  runAsNonRoot: true,
  runAsUser: userId,
  runAsGroup: userId,
  fsGroup: userId,
  seccompProfile: { type: "RuntimeDefault" },
} as const;

/** Security context of its containers. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  privileged: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

/** The one place that may be written to, gone with the pod. */
export const scratch = {
  volume: { name: "scratch", emptyDir: { sizeLimit: "64Mi" } },
  mount: { name: "scratch", mountPath: "/tmp" },
} as const;
