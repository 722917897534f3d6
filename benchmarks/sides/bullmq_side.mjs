// BullMQ: flows, whose parent is the fan-in; `worker CONCURRENCY` is the worker, anything else the client.
//
// The client adds a whole flow at once. In a chain each child feeds its parent. A job has one parent only, so that in a diamond the first
// step adds the other three. The protocol is that of client.py.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import path from "node:path";

const { FlowProducer, Queue, QueueEvents, Worker } = createRequire(path.join(process.env.BENCHMARK_HOME, "x.js"))("bullmq");
const connection = { host: "127.0.0.1", port: +process.env.BENCHMARK_PORT, maxRetriesPerRequest: null };
const PATIENCE_MS = 600_000, CHUNK = 1000;
const range = (n) => Array.from({ length: n }, (_, i) => i);
const job = (name, x) => ({ name, queueName: "q", data: { x } });
const fanOut = (name, values, jobId) => ({ name: "add", queueName: "q", data: {}, opts: { jobId }, children: values.map((x) => job(name, x)) });

async function work() {
  const flows = new FlowProducer({ connection });
  const results = async (parent) => Object.values(await parent.getChildrenValues());
  const steps = {
    increment: (job) => job.data.x + 1,
    sleep: async (job) => { await sleep(50); return job.data.x + 1; },
    next: async (job) => (await results(job))[0] + 1,
    add: async (job) => (await results(job)).reduce((a, b) => a + b, 0),
    first: async (job) => { await flows.add(fanOut("increment", [job.data.x + 1, job.data.x + 1], job.data.end)); return job.data.x + 1; },
  };
  new Worker("q", (job) => steps[job.name](job), { connection, concurrency: +process.argv[3] });
}

async function serve() {
  const flows = new FlowProducer({ connection }), queue = new Queue("q", { connection }), unserved = new Queue("unserved", { connection });
  const events = new QueueEvents("q", { connection }), waiting = new Map();
  const told = (jobId, tell) => { const one = waiting.get(jobId); waiting.delete(jobId); if (one) tell(one); };
  events.on("completed", ({ jobId, returnvalue }) => told(jobId, (one) => one.resolve(returnvalue)));
  events.on("failed", ({ jobId, failedReason }) => told(jobId, (one) => one.reject(new Error(failedReason))));
  const result = (id) => new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  const check = (got, wanted) => { if (+got !== wanted) throw new Error(`wrong result: ${got} instead of ${wanted}`); };
  const fan = (name) => async (n) => {
    const id = `e${randomUUID()}`, end = result(id);
    await flows.add(fanOut(name, range(n), id));
    check(await end, n * (n + 1) / 2);
  };
  const latency = (idling) => async (n) => {
    const samples = [];
    for (const i of range(n)) {
      if (idling) await sleep(20 + 60 * Math.random());
      const began = performance.now(), id = `e${randomUUID()}`, end = result(id);
      await queue.add("increment", { x: i }, { jobId: id });
      check(await end, i + 1);
      samples.push((performance.now() - began) / 1000);
    }
    return samples;
  };
  const works = {
    fan: fan("increment"), threads: fan("increment"), sleep: fan("sleep"), latency: latency(false), "idle-latency": latency(true),
    async chain(n) {
      const id = `e${randomUUID()}`, end = result(id);
      let tree = job("increment", 0);
      for (let i = 1; i < n; i++) tree = { name: "next", queueName: "q", data: {}, children: [tree] };
      tree.opts = { jobId: id };
      await flows.add(tree);
      check(await end, n);
    },
    async diamonds(n) {
      const ends = range(n).map(() => `e${randomUUID()}`), results = ends.map(result);
      await queue.addBulk(ends.map((end, i) => ({ name: "first", data: { x: i, end } })));
      (await Promise.all(results)).forEach((got, i) => check(got, 2 * (i + 2)));
    },
    async start(n) {
      const before = await unserved.getWaitingCount();
      for (let i = 0; i < n; i += CHUNK) await unserved.addBulk(range(Math.min(CHUNK, n - i)).map((x) => ({ name: "increment", data: { x } })));
      check(await unserved.getWaitingCount() - before, n);
    },
  };
  const late = (signal) => sleep(PATIENCE_MS, null, { signal, ref: false }).then(() => { throw new Error("no result"); });
  await events.waitUntilReady();
  for await (const line of createInterface({ input: process.stdin })) {
    const { work, size: [size] } = JSON.parse(line), began = performance.now(), cpu = process.cpuUsage(), over = new AbortController();
    let answer;
    try {
      const samples = await Promise.race([works[work](size), late(over.signal)]);
      const { user, system } = process.cpuUsage(cpu);
      answer = { seconds: (performance.now() - began) / 1000, client_cpu_s: (user + system) / 1e6, samples };
    } catch (error) {
      answer = { error: String(error).slice(0, 300) };
    }
    over.abort();
    console.log(JSON.stringify(answer));
  }
  process.exit(0);
}

await (process.argv[2] === "worker" ? work() : serve());
