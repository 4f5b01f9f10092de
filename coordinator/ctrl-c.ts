/**
 * While an update runs, Ctrl-C is meant for it: Pulumi gets it from the terminal as well and ends with the step under way.
 * We have to live on until then, since without us its output goes nowhere and it dies in the middle. A second one ends
 * both at once.
 *
 * @returns gives Ctrl-C its usual meaning back
 */
export function outliveCtrlC(say: (line: string) => void): () => void {
  let isAsked = false;
  const heed = (): void => {
    if (isAsked) process.exit(130);
    isAsked = true;
    say("Ctrl-C: the update ends with the step under way, the next one goes on there; once more ends it at once");
  };
  process.on("SIGINT", heed);
  return () => void process.off("SIGINT", heed);
}
