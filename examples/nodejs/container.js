// The container: a command is run in it by what its assignment says of where it is.
import { execFile } from "node:child_process";
import { createConnection } from "node:net";
import { join } from "node:path";

/** @typedef {{output: string, exit: number, cpu_percent?: number, memory_mb?: number}} Result the figures are missing where nobody measured them */

/** @param {import("./events.js").ContainerAssignment} lease @param {{agents: string, command: string}} settings @param {AbortSignal} signal @returns {Promise<Result>} */
export function runIn(lease, { agents, command }, signal) {
  if (lease.address?.startsWith("container:")) { // a Docker engine, and no network
    return dockerExec(lease.address.slice("container:".length), command, signal);
  }
  return askAgent(join(agents, `${lease.container_id}.sock`), command, signal);
}

/** @param {string} name @param {string} command @param {AbortSignal} signal @returns {Promise<Result>} */
function dockerExec(name, command, signal) {
  return new Promise((resolve, reject) => execFile("docker", ["exec", name, "sh", "-c", command], { signal }, (error, output) => {
    if (error && typeof error.code !== "number") reject(error); // not the command's own exit
    else resolve({ output, exit: Number(error?.code ?? 0) });
  }));
}

/** Sends the command to agent/agent.py, which runs in the container. @param {string} path @param {string} command @param {AbortSignal} signal @returns {Promise<Result>} */
function askAgent(path, command, signal) {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: true });
    let text = "";
    const abort = () => socket.destroy(new Error("the lease was lost"));
    signal.addEventListener("abort", abort, { once: true });
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.end(command));
    socket.on("data", (part) => { text += part; });
    socket.on("error", reject);
    socket.on("end", () => {
      try {
        resolve(JSON.parse(text));
      } catch (error) {
        reject(error);
      }
    });
    socket.on("close", () => signal.removeEventListener("abort", abort));
  });
}
