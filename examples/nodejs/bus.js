// The topics: events are published, and answers read by a group of this runner's own, since every runner has to see its own.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import kafkajs from "kafkajs";

const { Kafka, KafkaJSProtocolError, Partitioners, logLevel } = kafkajs;

/** @typedef {import("./events.js").ContainerAssignment} ContainerAssignment */
/** @typedef {import("./events.js").CacheResult} CacheResult */

const LOOK_BACK = 600_000; // ms of answers that are read at the start: as long as warmpool remembers a request that ended
const START = 30_000; // ms that the start may take

export class NoAnswer extends Error {}
export class KafkaUnavailable extends Error {}

export class Rejected extends Error {
  /** @param {ContainerAssignment} answer */
  constructor(answer) {
    super(`request ${answer.request_id} was rejected: ${answer.reason}`);
    this.reason = answer.reason;
    this.retryAfter = answer.retry_after_ms ?? null; // ms
  }
}

export class LeaseLost extends Error {
  /** @param {ContainerAssignment} answer */
  constructor(answer) {
    super(`the lease of ${answer.request_id} was lost: ${answer.reason}`);
    this.reason = answer.reason;
  }
}

/** Rejects with `error` after so many ms. @template T @param {Promise<T>} promise @param {number} ms @param {() => Error} error @returns {Promise<T>} */
function within(promise, ms, error) {
  /** @type {NodeJS.Timeout} */
  let timer;
  const limit = new Promise((_, reject) => { timer = setTimeout(() => reject(error()), ms); });
  return /** @type {Promise<T>} */ (Promise.race([promise, limit])).finally(() => clearTimeout(timer));
}

export class Bus {
  /** @param {{brokers: string[], prefix: string, job: string, philosophy: string, agent: string, timeout: number, grace: number}} settings */
  constructor(settings) {
    this.settings = settings;
    const kafka = new Kafka({ clientId: "warmpool-example", brokers: settings.brokers, logLevel: logLevel.NOTHING, retry: { retries: 5 } });
    this.admin = kafka.admin();
    this.producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false });
    this.consumer = kafka.consumer({ groupId: `warmpool-example-${randomUUID()}`, maxWaitTimeInMs: 100, allowAutoTopicCreation: false });
    this.topics = { assignment: `${settings.prefix}container-assignment`, result: `${settings.prefix}cache-result` };
    /** @type {Map<string, ContainerAssignment>} the latest of each of this job's requests */
    this.latest = new Map();
    /** @type {Map<string, (answer: ContainerAssignment) => void>} */
    this.requests = new Map();
    /** @type {Map<string, (result: CacheResult) => void>} */
    this.results = new Map();
    /** @type {Map<string, {topic: string, partition: number, next: bigint, end: bigint}>} what is read next, and where it ended at the start */
    this.positions = new Map();
  }

  /** Resolves when the answers of the time before are read: they may be to this job's requests. */
  async open() {
    try {
      await within(this.start(), START, () => new Error(`the answers of the last ${LOOK_BACK / 1000} s could not be read within ${START / 1000} s`));
    } catch (error) {
      throw new KafkaUnavailable(`Kafka: ${error instanceof Error ? error.message : error}`);
    }
  }

  async start() {
    await this.admin.connect();
    for (const topic of Object.values(this.topics)) {
      const ends = await this.asked(() => this.admin.fetchTopicOffsets(topic));
      const since = await this.asked(() => this.admin.fetchTopicOffsetsByTimestamp(topic, Date.now() - LOOK_BACK));
      for (const { partition, offset } of since) {
        const end = ends.find((entry) => entry.partition === partition)?.high ?? offset;
        this.positions.set(`${topic} ${partition}`, { topic, partition, next: BigInt(offset), end: BigInt(end) });
      }
    }
    await this.admin.disconnect();
    await this.producer.connect();
    await this.consumer.connect();
    await this.consumer.subscribe({ topics: Object.values(this.topics) });
    // The group commits nothing: at each join it goes on where this runner has read to.
    this.consumer.on(this.consumer.events.GROUP_JOIN, () => this.seek());
    const caughtUp = new Promise((resolve) => { this.noteRead = () => this.isBehind() || resolve(null); });
    await this.consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message }) => {
        const position = this.positions.get(`${topic} ${partition}`);
        if (position) position.next = BigInt(message.offset) + 1n;
        this.take(topic, message);
        this.noteRead?.();
      },
    });
    this.seek();
    this.noteRead?.();
    await caughtUp;
  }

  /** Asks again while a topic that was just made has no leader. @template T @param {() => Promise<T>} ask @returns {Promise<T>} */
  async asked(ask) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof KafkaJSProtocolError) || error.type !== "NOT_LEADER_FOR_PARTITION") throw error;
        await sleep(100);
      }
    }
  }

  isBehind() {
    return [...this.positions.values()].some(({ next, end }) => next < end);
  }

  seek() {
    for (const { topic, partition, next } of this.positions.values()) this.consumer.seek({ topic, partition, offset: String(next) });
  }

  /** Decodes what may be ours: an answer has the key of its event. @param {string} topic @param {import("kafkajs").KafkaMessage} message */
  take(topic, message) {
    const key = String(message.key);
    if (topic === this.topics.assignment ? !key.startsWith(this.settings.job) : this.results.size === 0) return;
    let record;
    try {
      record = JSON.parse(String(message.value));
    } catch (error) {
      console.error(`runner: an answer on ${topic} is not JSON (the worker needs wire.write = json): ${error}`);
      return;
    }
    if (topic === this.topics.assignment) {
      this.latest.set(record.request_id, record);
      this.requests.get(record.request_id)?.(record);
    } else {
      this.results.get(record.event_id)?.(record);
    }
  }

  /** @param {string} topic @param {string} key @param {object} event */
  async publish(topic, key, event) {
    try {
      await this.producer.send({ topic: this.settings.prefix + topic, acks: -1, messages: [{ key, value: JSON.stringify(event) }] });
    } catch (error) {
      throw new KafkaUnavailable(`Kafka did not take a record for ${topic}: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** The lease, and a signal that is aborted when it is lost. A request that nobody answers is cancelled. @param {string} id */
  async acquire(id) {
    const lost = new AbortController();
    /** @type {Promise<ContainerAssignment>} */
    const answered = new Promise((resolve) => this.requests.set(id, (answer) => {
      if (answer.status === "lost") lost.abort(new LeaseLost(answer));
      resolve(answer); // a repeated answer does nothing
    }));
    const earlier = this.latest.get(id);
    if (earlier?.status === "rejected") throw new Rejected(earlier); // warmpool does not answer a request again that has ended
    if (earlier?.status === "lost") throw new LeaseLost(earlier);
    const { agent, philosophy, timeout, grace } = this.settings;
    /** @type {import("./events.js").ContainerAcquire} */
    const event = { request_id: id, agent_id: agent, philosophy, timeout_ms: timeout };
    await this.publish("container-acquire", id, event);
    let lease;
    try {
      lease = await within(answered, timeout + grace, () => new NoAnswer(`request ${id} was not answered: does a worker run?`));
    } catch (error) {
      await this.release(id);
      throw error;
    }
    if (lease.status === "rejected") throw new Rejected(lease);
    if (lease.status === "lost") throw new LeaseLost(lease);
    return { lease, lost: lost.signal };
  }

  /** @param {string} id */
  async release(id) {
    this.requests.delete(id);
    await this.publish("container-release", id, { request_id: id, philosophy: this.settings.philosophy });
  }

  /** @param {Omit<import("./events.js").Cache, "event_id">} operation @returns {Promise<CacheResult>} */
  async cache(operation) {
    const event = { event_id: randomUUID(), ...operation };
    /** @type {Promise<CacheResult>} */
    const answered = new Promise((resolve) => this.results.set(event.event_id, resolve));
    try {
      await this.publish("cache", `${event.namespace}:${event.key}`, event);
      const result = await within(answered, this.settings.grace, () => new NoAnswer(`the ${event.op} of ${event.key} was not answered: does a worker run?`));
      if (result.reason) throw new Error(`the cache did not ${event.op} ${event.key}: ${result.reason}`);
      return result;
    } finally {
      this.results.delete(event.event_id);
    }
  }

  async close() {
    await Promise.allSettled([this.consumer.disconnect(), this.producer.disconnect(), this.admin.disconnect()]);
  }
}
