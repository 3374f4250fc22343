/** The thread that ends the process in the middle of what its main thread is doing. */
import process from 'node:process'
import { workerData } from 'node:worker_threads'

const { flag, microseconds } = workerData as { flag: Int32Array; microseconds: number }
Atomics.wait(flag, 0, 0)
for (const until = performance.now() + microseconds / 1000; performance.now() < until; );
process.kill(process.pid, 'SIGKILL')
