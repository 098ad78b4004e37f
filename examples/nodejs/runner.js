// Runs one job in a warm container: acquire, tool metadata from the cache, the job, usage, release. See README.md.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { Bus, KafkaUnavailable, LeaseLost, NoAnswer, Rejected } from "./bus.js";
import { runIn } from "./container.js";

/** @param {string} name @param {number} otherwise */
function number(name, otherwise) {
  const value = Number(process.env[name] || otherwise);
  if (Number.isInteger(value)) return value;
  console.error(`runner: ${name} must be a whole number, not ${process.env[name]}`);
  process.exit(2);
}

const settings = {
  brokers: (process.env.KAFKA || "localhost:9092").split(","),
  prefix: process.env.TOPICS_PREFIX || "",
  job: process.env.JOB_ID || randomUUID(),
  command: process.env.COMMAND || "echo hello from $WARMPOOL_CONTAINER_ID",
  philosophy: process.env.PHILOSOPHY || "react",
  agent: process.env.AGENT_ID || "agent-7",
  agents: process.env.AGENTS || "/tmp/agents",
  timeout: number("TIMEOUT_MS", 30000),
  grace: number("GRACE_MS", 10000),
  attempts: number("ATTEMPTS", 3),
};

/** From the shared cache; whoever misses it puts it there. @param {Bus} bus */
async function toolMetadata(bus) {
  const found = await bus.cache({ op: "get", namespace: "tool", key: "shell" });
  console.log(`tool metadata: ${found.hit ? "hit" : "miss"}`);
  if (found.hit) return JSON.parse(found.value ?? "null");
  const metadata = { name: "shell", arguments: ["command"] };
  await bus.cache({ op: "set", namespace: "tool", key: "shell", value: JSON.stringify(metadata) });
  return metadata;
}

/** What happens while the lease is held. @param {Bus} bus @param {import("./events.js").ContainerAssignment} lease @param {AbortSignal} lost */
async function work(bus, lease, lost) {
  await toolMetadata(bus);
  const began = performance.now();
  const result = await runIn(lease, settings, lost).catch((error) => {
    console.log(`interrupted: ${error}`);
    return null;
  });
  // Perhaps its container has ended. Then the notice comes within moments, and interrupts this.
  if (result === null || result.exit !== 0) await sleep(settings.grace, undefined, { signal: lost });
  if (result === null) throw new Error("the container could not be used, though nobody says that it was lost");
  console.log(`output: ${result.output.trim()}`);
  // The record's id makes a job that is run again after a crash count once.
  await bus.publish("usage-record", settings.agent, /** @type {import("./events.js").UsageRecord} */ ({
    record_id: lease.request_id, agent_id: settings.agent, philosophy: settings.philosophy,
    execution_time: (performance.now() - began) / 1000, cpu_percent: result.cpu_percent, memory_usage_mb: result.memory_mb,
  }));
  return result.exit;
}

/** @param {Bus} bus @param {string} id */
async function attempt(bus, id) {
  const { lease, lost } = await bus.acquire(id);
  console.log(`assigned: ${lease.container_id} ${lease.warm_start ? "warm" : "cold"} epoch ${lease.lease_epoch}`);
  try {
    return await work(bus, lease, lost);
  } finally {
    if (lost.aborted) throw lost.reason; // in place of what the loss has interrupted
    await bus.release(id);
  }
}

/** Another attempt is another request. Its id follows from the job's, so a restarted runner goes on with the same one. @param {Bus} bus */
async function run(bus) {
  for (let number = 1; ; number++) {
    try {
      return await attempt(bus, number === 1 ? settings.job : `${settings.job}.${number}`);
    } catch (error) {
      const last = number >= settings.attempts;
      if (error instanceof Rejected) {
        console.log(`rejected: ${error.reason}`);
        if (last || error.retryAfter === null) throw error;
        await sleep(error.retryAfter);
      } else if (error instanceof LeaseLost) {
        console.log(`lost: ${error.reason}`);
        if (last) throw error;
      } else {
        throw error;
      }
    }
  }
}

const bus = new Bus(settings);
let exit = 1;
try {
  await bus.open();
  exit = await run(bus);
} catch (error) {
  console.error(`runner: ${error instanceof Error ? error.message : error}`);
  exit = error instanceof Rejected ? 3 : error instanceof NoAnswer ? 4 : error instanceof LeaseLost ? 5 : error instanceof KafkaUnavailable ? 6 : 1;
}
await bus.close();
process.exit(exit);
